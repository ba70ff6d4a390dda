"""What a Caffe net contains and which of its layers can be converted; no problem ends the inspection."""

from __future__ import annotations

import copy
import math
import struct
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from converters.errors import ConverterError, LimitError, UnsupportedError
from converters.from_caffe import deploy, schema
from converters.from_caffe.bind import MOST_SUGGESTIONS
from converters.from_caffe.conversion import Conversion, lookup
from converters.from_caffe.embedded import definition_in
from converters.from_caffe.input_shapes import declared_batch_sizes, widest_dynamic_batch
from converters.from_caffe.inputs import is_data_layer
from converters.from_caffe.layers.dropped import is_dropped
from converters.from_caffe.limits import MOST_TRIED_LAYERS
from converters.from_caffe.netstate import filter_net
from converters.from_caffe.prototxt import Definition, parse
from converters.from_caffe.python_proposals import replace_python_proposals
from converters.from_caffe.weights import Blob, StoredLayer, Weights, open_weights
from converters.kept_sources import KeptSources
from converters.options import Options
from converters.report import Inspection, LayerRow
from converters.sizes import dims, shape_text
from converters.sniff import Kind, identify
from converters.source_files import SourceFile

# The channels that are assumed of images where neither definition nor weights tell them.
_COLOURS = 3


class _EveryName(frozenset[str]):
    """Contains every name. As `ignore_fields` it makes the parser skip, and report, all unknown fields."""

    def __contains__(self, name: object) -> bool:
        return True


class _PlaceholderWeights:
    """Weights of every requested shape, for a definition without a weights file; they take no memory."""

    path = Path("(no weights)")

    def __init__(self) -> None:
        self.are_placeholders = True
        self.were_asked = False
        self.files: list[SourceFile] = []

    def layers(self) -> Sequence[StoredLayer]:
        return []

    def parameter_fields(self, layer_type: str) -> frozenset[int]:
        return frozenset()

    def stored(self, layer: str, shapes: Sequence[tuple[int, ...]] | None) -> StoredLayer | None:
        if shapes is None:
            return None
        self.were_asked = True
        blobs = [Blob(_placeholder(math.prod(shape)), tuple(shape)) for shape in shapes]
        return StoredLayer(layer, "", blobs, 0)


def _placeholder(count: int) -> np.ndarray:
    """One number, of its own for each call, shown `count` times; as `np.broadcast_to` does, sooner."""
    return np.ndarray((count,), np.float32, struct.pack("=f", 1), strides=(0,))


def inspect(
    definition: Path | None, weights_path: Path | None, options: Options, kept: KeptSources
) -> Inspection:
    """What is in a definition, its weights, or both; at least one path must be given.

    Errors of the net go into the result; FormatError for a definition that cannot be parsed.
    """
    files = [str(path) for path in (definition, weights_path) if path is not None]
    try:
        read = _definition(definition, weights_path, options, kept)
    except UnsupportedError as error:
        if definition is not None or weights_path is None:
            raise
        return _weights_alone(weights_path, str(error), kept)
    result = Inspection("Caffe network", files)
    asked = [field for field in read.ignored if field.field in options.ignore_fields]
    result.notes += [f"ignored the field {field}, as asked" for field in asked]
    result.problems += [
        f"unknown field {field}; --ignore-field accepts it" for field in read.ignored if field not in asked
    ]
    result.notes += read.notes
    message, layers = read.net, read.net.layer
    try:
        if options.proposal is not None:
            result.notes += replace_python_proposals(message, options.proposal)
        layers = filter_net(message, options.stages, options.level)
        net = deploy.prepare(message, options.stages, options.level, options.outputs)
        result.notes += net.notes
        if weights_path is None:
            _inspect_definition(net, options, result)
        else:
            _inspect_net(net, open_weights(weights_path, net.declared, kept), options, result)
    except ConverterError as error:
        result.problems.append(str(error))
        result.layers = [_type_row(layer, suggest=k < MOST_SUGGESTIONS) for k, layer in enumerate(layers)]
    if weights_path is None:
        result.notes.append("no weights were given: parameters are those the definition asks for")
    return result


def _definition(
    definition: Path | None, weights: Path | None, options: Options, kept: KeptSources
) -> Definition:
    """A definition to work on."""
    if definition is not None:
        asked = options.stages, options.level
        read = kept.get(
            ("whole definition", definition, *asked), lambda: parse(definition, _EveryName(), *asked)
        )
        return replace(read, net=copy.deepcopy(read.net))
    assert weights is not None
    if identify(weights) is not Kind.CAFFEMODEL:
        raise UnsupportedError(f"{weights}: weights alone; give the network definition (.prototxt) with them")
    return Definition(definition_in(kept.file(weights)), [], [])


def _inspect_definition(net: deploy.InferenceNet, options: Options, result: Inspection) -> None:
    """What would be with weights, and whether they are needed."""
    result.needs_weights = True
    declared, weights = net.inputs, _PlaceholderWeights()
    _assume_channels(net, options, result)
    complete = net.inputs.shapes == declared.shapes
    converted = _inspect_net(net, weights, options, result)
    net.inputs = declared
    # Where nothing was asked of the weights, another conversion would only tell the same. What fails with
    # weights of every shape, or becomes more than a net without stored weights may, fails without them too.
    if complete and not weights.were_asked and not result.problems:
        result.needs_weights = False
    elif complete and converted is not None and len(net.layers) > MOST_TRIED_LAYERS:
        result.needs_weights = not converted.binder.has_constant_fillers
    elif not complete or (converted is not None and converted.graph.fits_without_weights):
        result.needs_weights = _needs_weights(net, options)


def _needs_weights(net: deploy.InferenceNet, options: Options) -> bool:
    """Whether the definition alone does not convert. Where fillers make all of its parameters, it does."""
    try:
        Conversion.of(net, None, options, ()).convert_layers()
    except ConverterError:
        return True
    return False


def _assume_channels(net: deploy.InferenceNet, options: Options, result: Inspection) -> None:
    """Take images to be in colour where only the weights, which are not there, tell their channels."""
    shapes = dict(net.inputs.shapes)
    for name, shape in net.inputs.shapes.items():
        if shape is not None and len(shape) > 1 and shape[1] is None and name not in options.input_shapes:
            shapes[name] = (shape[0], _COLOURS, *shape[2:])
            result.notes.append(
                f"the definition does not tell the channels of {name!r}: shown for {_COLOURS}; the weights "
                f"or --input-shape {name}=N,C,H,W tell them"
            )
    net.inputs = replace(net.inputs, shapes=shapes)


def _inspect_net(
    net: deploy.InferenceNet, weights: Weights, options: Options, result: Inspection
) -> Conversion | None:
    """Adds what is found to `result`. The conversion; None where a layer cannot be converted."""
    sizes = declared_batch_sizes(net.inputs, net.declared, weights, options)

    last: dict[str, Conversion] = {}

    def attempt(dynamic_batches: Collection[int | None]) -> Conversion:
        last.clear()
        last["conversion"] = conversion = Conversion.of(net, weights, options, dynamic_batches)
        conversion.convert_layers()
        conversion.outputs(net.outputs)
        return conversion

    problems: dict[int, ConverterError] = {}
    try:
        is_long = len(net.layers) > MOST_TRIED_LAYERS
        conversion, _ = widest_dynamic_batch(sizes, attempt, is_long=is_long)
    except LimitError:
        raise
    except ConverterError as error:
        # The last attempt was that with all sizes as declared: what it converted is not converted again.
        conversion = last.get("conversion") or Conversion.of(net, weights, options, ())
        problems = conversion.convert_what_is_possible()
        if not problems:
            result.problems.append(str(error))
        result.notes += [
            f"the definition does not tell the size of input {name!r}; give it: --input-shape {name}=N,C,H,W"
            for name in net.inputs.with_unknown_size
            if name not in options.input_shapes
        ]
    binder = conversion.binder
    result.layers = [_row(layer, conversion, problems.get(k)) for k, layer in enumerate(net.layers)]
    result.inputs = {str(value.name): shape_text(dims(value)) for value in conversion.graph.inputs}
    result.outputs = {name: conversion.shape_text(name) for name in net.outputs}
    result.parameters = binder.parameter_count
    result.notes += conversion.notes.values()
    result.left_out = [f"{d.name} ({d.type}): {d.reason}" for d in net.dropped]
    if binder.unused():
        result.notes.append(f"stored but not used by this net: {', '.join(binder.unused())}")
    return None if problems else conversion


def _row(layer: schema.Message, conversion: Conversion, problem: ConverterError | None) -> LayerRow:
    parameters = [f"{p.name} {shape_text(p.shape)}" for p in conversion.binder.requested.get(layer.name, ())]
    shapes = [shape_text(dims(value)) for value in conversion.made.get(id(layer), ())]
    return LayerRow(layer.name, layer.type, shapes, parameters, str(problem) if problem else None)


def _type_row(layer: schema.Message, *, suggest: bool) -> LayerRow:
    """The row of a layer in a net that could not be prepared: only its type is checked."""
    row = LayerRow(layer.name, layer.type)
    try:
        if layer.type != "Input" and not is_dropped(layer.type) and not is_data_layer(layer.type, layer):
            lookup(layer, suggest=suggest)
    except ConverterError as error:
        row.problem = str(error)
    return row


def _weights_alone(path: Path, problem: str, kept: KeptSources) -> Inspection:
    weights = open_weights(path, [], kept)
    result = Inspection("Caffe weights", [str(path)])
    for stored in weights.layers():
        shapes = [shape_text(shape) for shape in stored.shapes]
        result.layers.append(LayerRow(stored.name, stored.type, [], shapes))
        result.parameters += sum(blob.values.size for blob in stored.blobs if blob is not None)
    result.problems.append(problem)
    return result
