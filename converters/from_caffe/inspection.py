"""The lenient twin of reading a Caffe net: every layer is tried, nothing stops at the first problem."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from converters.errors import ConverterError, UnsupportedError
from converters.from_caffe import deploy, schema
from converters.from_caffe.bind import Binder
from converters.from_caffe.build import Walk, lookup, start
from converters.from_caffe.embedded import definition_in
from converters.from_caffe.input_shapes import batch_sizes, freest
from converters.from_caffe.netstate import filter_net
from converters.from_caffe.prototxt import parse
from converters.from_caffe.weights import Blob, StoredLayer, Weights, open_weights
from converters.graph import dims, shape_text
from converters.options import Options
from converters.report import Inspection, LayerRow
from converters.sniff import Kind, identify


class _Anything(frozenset[str]):
    """Contains every name: every unknown field is passed over (and reported)."""

    def __contains__(self, name: object) -> bool:
        return True


class _Assumed:
    """Weights of whatever shape is wanted, for a definition that comes alone; they take no memory."""

    path = Path("(no weights)")

    def __init__(self) -> None:
        self.maps: dict[str, np.ndarray] = {}

    def layers(self) -> Sequence[StoredLayer]:
        return []

    def stored(self, layer: str, shapes: Sequence[tuple[int, ...]] | None) -> StoredLayer | None:
        if shapes is None:
            return None
        blobs = [Blob(np.broadcast_to(np.float32(1), int(np.prod(shape))), tuple(shape)) for shape in shapes]
        return StoredLayer(layer, "", blobs, 0)


def inspect(definition: Path | None, weights_path: Path | None) -> Inspection:
    """What is in a definition, its weights, or both."""
    files = [str(path) for path in (definition, weights_path) if path is not None]
    try:
        message, ignored = _definition(definition, weights_path)
    except UnsupportedError as error:
        if definition is not None or weights_path is None:
            raise
        return _weights_alone(weights_path, str(error))
    result = Inspection("Caffe network", files)
    result.problems += [f"unknown field {field}; --ignore-field accepts it" for field in ignored]
    layers: Sequence[schema.Message] = message.layer
    try:
        layers = filter_net(message, (), 0)
        net = deploy.prepare(message.name, layers, None)
        weights = open_weights(weights_path, net.declared) if weights_path is not None else _Assumed()
        _inspect_net(net, weights, result)
    except ConverterError as error:
        result.problems.append(str(error))
        result.layers = [_type_row(layer) for layer in layers]
    if weights_path is None:
        result.notes.append("no weights were given: parameters are those the definition asks for")
    return result


def _definition(definition: Path | None, weights: Path | None) -> tuple[schema.Message, list[str]]:
    if definition is not None:
        return parse(definition, _Anything())
    assert weights is not None
    if identify(weights) is not Kind.CAFFEMODEL:
        raise UnsupportedError(f"{weights}: weights alone; give the network definition (.prototxt) with them")
    return definition_in(weights), []


def _inspect_net(net: deploy.Net, weights: Weights, result: Inspection) -> None:
    sizes = batch_sizes(net.inputs, net.declared, weights, Options())

    def attempt(free: Collection[int | None]) -> Walk:
        walk = start(net, weights, Options(), free)
        walk.run()
        return walk

    problems: dict[int, ConverterError] = {}
    try:
        walk, _ = freest(sizes, attempt)
    except ConverterError:
        walk = start(net, weights, Options(), ())
        problems = walk.run_leniently()
    binder = walk.binder
    result.layers = [_row(layer, walk, binder, problems.get(k)) for k, layer in enumerate(net.layers)]
    result.inputs = {str(value.name): shape_text(dims(value)) for value in walk.graph.inputs}
    result.outputs = {name: walk.shape_text(name) for name in net.outputs}
    result.parameters = binder.parameter_count
    result.notes += walk.notes.values()
    result.left_out = [f"{d.name} ({d.type}): {d.reason}" for d in net.dropped]
    if binder.unused():
        result.notes.append(f"stored but not used by this net: {', '.join(binder.unused())}")


def _row(layer: schema.Message, walk: Walk, binder: Binder, problem: ConverterError | None) -> LayerRow:
    parameters = [f"{p.name} {shape_text(p.shape)}" for p in binder.asked.get(layer.name, ())]
    shapes = [shape_text(dims(value)) for value in walk.made.get(id(layer), ())]
    return LayerRow(layer.name, layer.type, shapes, parameters, str(problem) if problem else None)


def _type_row(layer: schema.Message) -> LayerRow:
    """What can be said of a layer by its type alone."""
    row = LayerRow(layer.name, layer.type)
    known = deploy.LOSSES | deploy.EVALUATION | deploy.OUTPUT_WRITERS | {"Input", *deploy.DATA_LAYERS}
    try:
        if layer.type not in known:
            lookup(layer)
    except ConverterError as error:
        row.problem = str(error)
    return row


def _weights_alone(path: Path, problem: str) -> Inspection:
    weights = open_weights(path, [])
    result = Inspection("Caffe weights", [str(path)])
    for stored in weights.layers():
        shapes = [shape_text(shape) for shape in stored.shapes]
        result.layers.append(LayerRow(stored.name, stored.type, [], shapes))
        result.parameters += sum(blob.values.size for blob in stored.blobs if blob is not None)
    result.problems.append(problem)
    return result
