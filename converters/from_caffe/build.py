"""Bound layers -> ONNX graph: follows the blobs as Caffe does, in place and shared memory included."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import onnx_ir as ir

from converters.errors import ConverterError, FormatError, UnsupportedError
from converters.from_caffe import deploy, schema
from converters.from_caffe.bind import Binder, BoundLayer
from converters.from_caffe.input_shapes import resolve
from converters.from_caffe.layers import LayerType, layer_types
from converters.from_caffe.layers.refused import REFUSED
from converters.from_caffe.weights import Weights
from converters.from_caffe.wiring import in_place_tops, memories
from converters.graph import Graph, Shape, dims, shape_text
from converters.options import Options


@dataclass
class Version:
    """What a blob name stands for at one point of the net.

    memory: versions with the same one share it in Caffe.
    changed: what it holds since a layer worked in place on another version in the same memory.
    """

    value: ir.Value
    memory: int
    changed: ir.Value | None = None


class Walk:
    """Builds a graph layer by layer."""

    def __init__(self, name: str, binder: Binder) -> None:
        self.graph = Graph(name)
        self.binder = binder
        # id of a layer's message -> the values of its tops
        self.made: dict[int, list[ir.Value]] = {}
        self._blobs: dict[str, Version] = {}
        self._broken: dict[str, str] = {}
        # what a person should know, by what it is about
        self.notes: dict[str, str] = {}
        self._memories = memories(binder.layers)
        self._last_writer = {top: k for k, layer in enumerate(binder.layers) for top in layer.top}

    def inputs(self, shapes: Mapping[str, Shape]) -> None:
        """Declare the net's inputs."""
        for name, shape in shapes.items():
            memory = next((place[name] for place in self._memories if name in place), -1)
            self._blobs[name] = Version(self.graph.input(name, shape), memory)

    def run(self) -> None:
        """Walk every layer in net order, if all their types are known."""
        for message in self.binder.layers:
            lookup(message)
        for position, message in enumerate(self.binder.layers):
            self._layer(position, message)

    def run_leniently(self) -> dict[int, ConverterError]:
        """Walk every layer and return the problems by layer position; what depends on one cannot be known."""
        problems: dict[int, ConverterError] = {}
        for position, message in enumerate(self.binder.layers):
            try:
                self._layer(position, message)
            except ConverterError as error:
                problems[position] = error
                for top in message.top:
                    self._broken[top] = message.name
        return problems

    def shape_text(self, name: str) -> str:
        """The shape of a blob as it stands now."""
        version = self._blobs.get(name)
        return shape_text(dims(version.value)) if version is not None else "unknown"

    def outputs(self, names: Sequence[str]) -> dict[str, ir.Value]:
        """The final values of these blobs."""
        return {name: self._read(name, f"output {name!r}") for name in names}

    def _layer(self, position: int, message: schema.Message) -> None:
        layer_type = lookup(message)
        param = getattr(message, layer_type.param) if layer_type.param else None
        layer = BoundLayer(message, self.binder, param)
        _check_counts(layer, layer_type)
        layer.check(layer_type.in_place or not in_place_tops(message), "Caffe does not compute this in place")
        reader = f"layer {layer.name!r} ({layer.type})"
        bottoms = [self._read(name, reader) for name in message.bottom]
        with self.graph.layer(layer.name, f"Caffe {layer.type}"):
            tops = layer_type(self.graph, layer, bottoms)
        self._publish(position, layer, layer_type, bottoms, tops)

    def _read(self, name: str, reader: str) -> ir.Value:
        if name in self._broken:
            raise UnsupportedError(
                f"{reader} depends on layer {self._broken[name]!r}, which cannot be converted"
            )
        version = self._blobs[name]
        if version.changed is None:
            return version.value
        self.notes[name] = (
            f"{reader} reads the blob {name!r} after a layer has changed its memory in place under another "
            "name, and gets the changed values, as in Caffe"
        )
        return self.graph.reshape(version.changed, dims(version.value))

    def _publish(
        self,
        position: int,
        layer: BoundLayer,
        layer_type: LayerType,
        bottoms: list[ir.Value],
        tops: list[ir.Value],
    ) -> None:
        layer.check(len(tops) == layer.top_count, f"has {layer.top_count} top(s), expected {len(tops)}")
        self.made[id(layer.message)] = tops
        for name, value in zip(layer.message.top, tops, strict=True):
            memory = self._memories[position][name]
            if name in in_place_tops(layer.message):
                for other in self._blobs.values():
                    other.changed = value if other.memory == memory else other.changed
            self._blobs.pop(name, None)  # keeps the order of the dict that of the last writers
            self._blobs[name] = Version(value, memory)
            final = name if self._last_writer[name] == position else None
            if value not in bottoms:
                self.graph.name_result(value, layer.name, final)
            elif name in in_place_tops(
                layer.message
            ):  # passed through: the layer that made it keeps its node
                self.graph.name_result(value, None, final)


def start(
    net: deploy.Net, weights: Weights | None, options: Options, free_batches: Collection[int | None]
) -> Walk:
    """A walk that stands at the inputs of this net; `free_batches` are the batch sizes left open."""
    walk = Walk(net.name, Binder(weights, net.layers, net.declared))
    walk.inputs(resolve(net.inputs, net.declared, weights, options, free_batches))
    return walk


def lookup(message: schema.Message) -> LayerType:
    """The entry of the table for this layer; UnsupportedError lists what was close."""
    types = layer_types()
    if message.type in types:
        return types[message.type]
    if not message.type:
        raise FormatError(f"layer {message.name!r} has no type")
    if message.type in REFUSED:
        raise UnsupportedError(f"layer {message.name!r} ({message.type}): {REFUSED[message.type]}")
    close = difflib.get_close_matches(message.type, types, n=3)
    known = f"the closest known types are {', '.join(close)}" if close else f"{len(types)} types are known"
    raise UnsupportedError(
        f"layer {message.name!r} has the type {message.type!r}, which cannot be converted; {known} "
        "(dsd-zoo inspect shows which layers of the net can be)"
    )


def _check_counts(layer: BoundLayer, layer_type: LayerType) -> None:
    for what, count, (least, most) in (
        ("bottom", len(layer.message.bottom), layer_type.bottoms),
        ("top", layer.top_count, layer_type.tops),
    ):
        wanted = str(least) if least == most else f"{least} or more" if most is None else f"{least} to {most}"
        layer.check(
            count >= least and (most is None or count <= most), f"has {count} {what}(s), expected {wanted}"
        )
