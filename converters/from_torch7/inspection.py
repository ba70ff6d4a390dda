"""Inspecting a Torch7 file: its contents and what of them would convert, without an error for the rest."""

from __future__ import annotations

from pathlib import Path

from converters.errors import ConverterError
from converters.from_torch7.contents import ObjectPath, networks, select_network, walk
from converters.from_torch7.conversion import Conversion
from converters.from_torch7.convert import ConvertedModel, convert, is_module
from converters.from_torch7.module import Module, describe
from converters.from_torch7.module_classes import Unsupported
from converters.from_torch7.modules import CLASSES
from converters.from_torch7.objects import Table, Tensor, TorchObject
from converters.from_torch7.reader import read
from converters.kept_sources import KeptSources
from converters.options import Options
from converters.report import Inspection, LayerRow
from converters.sizes import dims, shape_text

# The most entries of a table of data that are listed.
MAX_ROWS = 1000
# The most networks of a file that are looked into, and once they have more layers than this, no further one.
MAX_NETWORKS = 50
MAX_LAYERS = 10_000
# For so many classes that are not known, the known one that may be meant is looked for.
MOST_SUGGESTIONS = 20


def inspect(path: Path, options: Options, kept: KeptSources) -> Inspection:
    """The layers of the network in a file; of a file without a network, the tensors and other data."""
    content = kept.get(("content", path), lambda: read(path))
    if options.select is not None:
        network, _ = select_network(content.value, options.select, is_module)
        result = Inspection("Torch7 network", [str(path)])
        _inspect_network(result, "", network.torch_object, options, path.stat().st_size)
        return result
    found = networks(content.value, is_module)
    if not found:
        return _inspect_data(path, content.value)
    result = Inspection("Torch7 network", [str(path)])
    if len(found) > 1:
        result.kind = f"Torch7 file of {len(found)} networks"
        names = [network_path.shortened for network_path, _ in found[:MAX_NETWORKS]]
        result.problems.append("choose one with --select: " + ", ".join(names))
    for network_path, item in found[:MAX_NETWORKS]:
        name = network_path.shortened if len(found) > 1 else ""
        _inspect_network(result, name, item, options, path.stat().st_size)
    if len(found) > MAX_NETWORKS:
        result.notes.append(f"only the first {MAX_NETWORKS:,} of {len(found):,} networks are listed")
    return result


def _inspect_network(
    result: Inspection, network_path: str, item: TorchObject, options: Options, stored_bytes: int
) -> None:
    prefix = f"{network_path}: " if network_path else ""
    if len(result.layers) > MAX_LAYERS:
        result.notes.append(
            f"{prefix}not looked into: the networks before have {len(result.layers):,} layers"
        )
        return
    problems = _unsupported_rows(network_path, item)
    if problems:
        result.layers += problems
        return
    try:
        converted = convert(network_path or "net", Module(item), options, stored_bytes)
    except ConverterError as error:
        result.layers += [LayerRow(*row) for row in _module_rows(network_path, item)]
        result.problems.append(f"{prefix}{error}")
    else:
        result.layers += _layer_rows(converted, prefix)
        result.parameters += sum(
            value.const_value.size
            for value in converted.model.graph.initializers.values()
            if value.const_value is not None
        )
        result.inputs |= {f"{prefix}{v.name}": shape_text(dims(v)) for v in converted.model.graph.inputs}
        result.outputs |= {f"{prefix}{v.name}": shape_text(dims(v)) for v in converted.model.graph.outputs}
        result.left_out += [
            f"{prefix}{dropped.name} ({dropped.type}): {dropped.reason}"
            for dropped in converted.conversion.dropped
        ]


def _layer_rows(converted: ConvertedModel, prefix: str) -> list[LayerRow]:
    weights: dict[str, list[str]] = {}
    for name, value in converted.model.graph.initializers.items():
        layer_name, _, own_name = str(name).partition(".")
        weights.setdefault(layer_name, []).append(f"{own_name} {shape_text(dims(value))}")
    return [
        LayerRow(
            f"{prefix}{layer.name}",
            layer.module.class_name,
            [shape_text(dims(converted.conversion.layer_outputs[layer.name]))]
            if layer.name in converted.conversion.layer_outputs
            else [],
            weights.get(layer.name, []),
        )
        for layer in converted.conversion.layers
    ]


def _module_name(network_path: str, path: ObjectPath) -> str:
    return f"{network_path}.{path.shortened}".strip(".") or "net"


def _module_rows(network_path: str, item: TorchObject) -> list[tuple[str, str]]:
    return [
        (_module_name(network_path, path), part.class_name)
        for path, part in walk(item)
        if isinstance(part, TorchObject) and is_module(part)
    ]


def _unsupported_rows(network_path: str, item: TorchObject) -> list[LayerRow]:
    """All modules, if the class of one of them is not converted; otherwise nothing."""
    conversion = Conversion("", CLASSES)
    rows = []
    problems = 0
    for path, part in walk(item):
        if isinstance(part, TorchObject) and is_module(part):
            problem = None
            try:
                module_class = conversion.class_of(Module(part), suggest=problems < MOST_SUGGESTIONS)
                problem = module_class.reason if isinstance(module_class, Unsupported) else None
            except ConverterError as error:
                problem = str(error)
            problems += problem is not None
            rows.append(LayerRow(_module_name(network_path, path), part.class_name, problem=problem))
    return rows if any(row.problem for row in rows) else []


def _inspect_data(path: Path, value: object) -> Inspection:
    result = Inspection("Torch7 data", [str(path)])
    result.notes.append(f"no network, but {describe(value)}; its tensors can be saved as .safetensors")
    entries = tensors = 0
    for object_path, item in walk(value):
        if isinstance(item, Tensor):
            tensors += 1
            row = LayerRow("tensor", item.class_name, [shape_text(item.array.shape)])
            result.parameters += item.array.size
        elif not isinstance(item, Table):
            row = LayerRow("", describe(item))
        else:
            continue
        entries += 1
        if entries <= MAX_ROWS:
            row.name = object_path.shortened or row.name
            result.layers.append(row)
    if not tensors:
        result.notes = []
        result.problems.append(f"neither a network nor tensors, but {describe(value)}: nothing to convert")
    if entries > MAX_ROWS:
        result.notes.append(f"only the first {MAX_ROWS:,} of {entries:,} entries are listed")
    return result
