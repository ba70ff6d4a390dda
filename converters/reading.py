"""Reads files into a model: identifies them, calls their reader, records the sources in the metadata."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import onnx_ir as ir

from converters.batch_norm_scale import join_batch_norm_and_scale
from converters.dropout import detach_dropout
from converters.embedded_preprocessing import describe_images
from converters.errors import FormatError, LimitError, UsageError, shortened
from converters.external_weights import external_problems, map_external_weights
from converters.folding import fold
from converters.garbage_collection import rare_collections
from converters.kept_sources import KeptSources
from converters.onnx_checks import check_model, check_node_count
from converters.options import Options
from converters.report import ConversionReport, Inspection, LayerRow, Source
from converters.sizes import shape_text
from converters.sniff import Kind, identify
from converters.source_files import check_unchanged, watch
from converters.version import __version__

_SOURCES = "dsd-zoo.sources"
_WEIGHTS = {Kind.CAFFEMODEL, Kind.CAFFE_HDF5, Kind.DEEP_COMPRESSION}


def read(
    paths: Sequence[Path],
    options: Options,
    *,
    verify: bool = False,
    external_weights: bool = True,
    kept: KeptSources | None = None,
) -> ir.Model:
    """The model in `paths`, with its report in `meta`; `record_sources` adds the sources.

    verify: see `converters.external_weights.external_files`.
    external_weights: whether the files in which an .onnx keeps its weights are opened.
    kept: what earlier calls read of the same files.
    SourceChangedError if a file changes meanwhile; `check_unchanged` tells later on.
    """
    kinds = files_by_kind(paths)
    _check_options(kinds, options)
    kept = kept or KeptSources(for_one_call=True)
    states = [kept.state(path) for path in paths]
    with limits_as_errors(paths):
        model = _model(kinds, options, kept, external_weights=external_weights, verify=verify)
        _complete(model)
    watch(model, states)
    check_unchanged(model)
    return model


@contextlib.contextmanager
def limits_as_errors(paths: Sequence[Path]) -> Iterator[None]:
    """LimitError where Python's memory or stack ends inside: the last resort, behind limits that say more."""
    try:
        with rare_collections():
            yield
    except MemoryError as error:
        raise LimitError(f"{_names(paths)}: needs more memory than there is ({error})") from error
    except RecursionError as error:
        raise LimitError(f"{_names(paths)}: is nested too deeply") from error


def _names(paths: Sequence[Path]) -> str:
    return ", ".join(map(str, paths))


def _model(
    kinds: Mapping[Kind, Path], options: Options, kept: KeptSources, *, external_weights: bool, verify: bool
) -> ir.Model:
    if Kind.ONNX in kinds:
        model = _read_onnx(kinds[Kind.ONNX], options, kept)
        if external_weights:
            map_external_weights(model, kinds[Kind.ONNX], verify=verify)
            check_node_count(model, kinds[Kind.ONNX])
    elif Kind.TORCH7 in kinds:
        from converters import from_torch7

        model = from_torch7.read(kinds[Kind.TORCH7], options, kept)
    else:
        from converters import from_caffe

        model = from_caffe.read(kinds.get(Kind.PROTOTXT), _weights_in(kinds), options, kept)
    detach_dropout(model)
    if options.fold and (folded := fold(model)):
        model.meta["report"].notes.append(f"folded {folded} scaling layer(s) into the one before, as asked")
    if model.meta["report"].framework == "caffe":
        join_batch_norm_and_scale(model.graph)
    return model


def inspect(
    paths: Sequence[Path], options: Options, *, verify: bool = False, kept: KeptSources | None = None
) -> Inspection:
    """What `paths` contain, and which of it can be converted. `verify`, `kept`: as for `read`."""
    kinds = files_by_kind(paths)
    _check_options(kinds, options)
    with limits_as_errors(paths):
        inspection = _inspection(kinds, options, kept or KeptSources(for_one_call=True), verify=verify)
    inspection.notes = [shortened(note) for note in inspection.notes]
    return inspection


def _inspection(
    kinds: Mapping[Kind, Path], options: Options, kept: KeptSources, *, verify: bool
) -> Inspection:
    if Kind.ONNX in kinds:
        return _inspect_onnx(kinds[Kind.ONNX], options, kept, verify=verify)
    if Kind.TORCH7 in kinds:
        from converters import from_torch7

        return from_torch7.inspect(kinds[Kind.TORCH7], options, kept)
    from converters import from_caffe

    return from_caffe.inspect(kinds.get(Kind.PROTOTXT), _weights_in(kinds), options, kept)


def files_by_kind(paths: Sequence[Path]) -> Mapping[Kind, Path]:
    """The files by kind; UsageError for files that do not form one net."""
    if not paths:
        raise UsageError("no files given; expected a prototxt and its weights, a .t7, or a .onnx")
    kinds: dict[Kind, Path] = {}
    for path in paths:
        kind = identify(path)
        if kind in kinds:
            raise UsageError(f"two files of the same kind, {kind.value}: {kinds[kind]} and {path}; give one")
        kinds[kind] = path
    alone = kinds.keys() & {Kind.TORCH7, Kind.ONNX}
    weights = kinds.keys() & _WEIGHTS
    if alone and len(kinds) > 1:
        raise UsageError(f"{kinds[next(iter(alone))]} is complete by itself; give it alone")
    if len(weights) > 1:
        raise UsageError(
            "two weights files: " + " and ".join(str(kinds[kind]) for kind in weights) + "; give one"
        )
    return kinds


def _check_options(kinds: Mapping[Kind, Path], options: Options) -> None:
    """UsageError for an option that has no meaning for these files, and would be ignored silently."""
    names = ", ".join(path.name for path in kinds.values())
    if options.select is not None and Kind.TORCH7 not in kinds:
        raise UsageError(f"{names}: select (--select) names a place in a Torch7 file; leave it out")
    state = {
        "stages": options.stages,
        "level": options.level,
        "ignore_fields": options.ignore_fields,
        "proposal": options.proposal,
        "init": options.init is not None,
    }
    given = [name for name, value in state.items() if value]
    if given and kinds.keys() & {Kind.TORCH7, Kind.ONNX}:
        raise UsageError(f"{names}: {' and '.join(given)} are about a Caffe definition; leave them out")


def _weights_in(kinds: Mapping[Kind, Path]) -> Path | None:
    return next((kinds[kind] for kind in _WEIGHTS if kind in kinds), None)


def _inspect_onnx(path: Path, options: Options, kept: KeptSources, *, verify: bool) -> Inspection:
    model = read([path], options, external_weights=False, kept=kept)
    report: ConversionReport = model.meta["report"]
    problems = external_problems(model, path, verify=verify)
    rows = [
        LayerRow(node.name or "", node.op_type, [_shape(output) for output in node.outputs])
        for node in model.graph
    ]
    images = describe_images(model)
    return Inspection(
        "ONNX model",
        [str(path)],
        rows,
        report.inputs,
        report.outputs,
        report.parameters,
        problems=problems,
        notes=[*report.notes, *([] if images is None else [images])],
    )


def _read_onnx(path: Path, options: Options, kept: KeptSources) -> ir.Model:
    if options.outputs or options.input_shapes or options.static_batch:
        raise UsageError(
            f"{path}: outputs, shapes and batch can be chosen only when converting from the original files"
        )
    model = kept.model(("onnx", path), lambda: _parsed_onnx(path))
    model.meta["report"] = ConversionReport(framework="onnx")
    return model


def _parsed_onnx(path: Path) -> ir.Model:
    try:
        model = ir.load(path)
    except Exception as error:  # the parser raises many types for a damaged file
        raise FormatError(f"{path}: not a readable ONNX model: {error}") from error
    check_model(model, path)
    return model


def _complete(model: ir.Model) -> None:
    report: ConversionReport = model.meta["report"]
    report.inputs = {str(v.name): _shape(v) for v in model.graph.inputs}
    report.outputs = {str(v.name): _shape(v) for v in model.graph.outputs}
    report.notes = [shortened(note) for note in report.notes]
    report.nodes = len(model.graph)
    report.parameters = report.parameters or sum(
        v.const_value.size for v in model.graph.initializers.values() if v.const_value is not None
    )
    if report.framework == "onnx":  # keeps the record that the file has
        return
    model.producer_version = __version__
    model.metadata_props["dsd-zoo.version"] = __version__
    model.metadata_props["dsd-zoo.framework"] = report.framework
    model.metadata_props[_SOURCES] = json.dumps(
        []
    )  # here, so that the order of the entries is always the same
    if report.preprocessing:
        model.metadata_props["dsd-zoo.preprocessing"] = json.dumps(report.preprocessing)
    if report.notes:
        model.metadata_props["dsd-zoo.notes"] = json.dumps(report.notes)


def record_sources(model: ir.Model, sources: Sequence[Source]) -> dict[str, str]:
    """Puts the sources into the report of the model, and returns its metadata about them."""
    report: ConversionReport = model.meta["report"]
    report.sources = list(sources)
    if report.framework == "onnx":
        return {}
    return {_SOURCES: json.dumps([vars(source) for source in sources])}


def _shape(value: ir.Value) -> str:
    return shape_text([str(size) for size in value.shape]) if value.shape is not None else "unknown"
