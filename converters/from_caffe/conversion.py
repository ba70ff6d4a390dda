"""Bound layers -> ONNX graph, following the blobs as Caffe does, in place and in shared memory too."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import onnx_ir as ir

from converters.errors import ConverterError, FormatError, UnsupportedError
from converters.from_caffe import deploy, schema
from converters.from_caffe.bind import Binder
from converters.from_caffe.blob_aliasing import in_place_tops, storage_ids
from converters.from_caffe.bound_layer import BoundLayer
from converters.from_caffe.input_shapes import resolve_shapes
from converters.from_caffe.layers import LayerType, layer_types
from converters.from_caffe.layers.unsupported import UNSUPPORTED
from converters.from_caffe.python_proposals import advice, is_python_proposal
from converters.from_caffe.weights import Weights
from converters.graph import Graph, Shape, dims, shape_text
from converters.options import Options


@dataclass
class BlobVersion:
    """What a blob name stands for at one point of the net.

    storage: in Caffe, versions with the same id share their memory.
    overwritten: the new content, once a layer has worked in place on another version in the same storage.
    """

    value: ir.Value
    storage: int
    overwritten: ir.Value | None = None


class Conversion:
    """One conversion under way: the graph so far, and the values that the blob names stand for.

    made: the values of a layer's tops, by the id() of its message.
    notes: what a person should know, by what it is about: the binder's, and those about blobs.
    """

    def __init__(self, name: str, binder: Binder) -> None:
        self.graph = Graph(name)
        self.binder = binder
        self.made: dict[int, list[ir.Value]] = {}
        self.notes = binder.notes
        self._blobs: dict[str, BlobVersion] = {}
        # blobs of a layer that could not be converted -> the name of that layer
        self._missing: dict[str, str] = {}
        self._storage_ids = storage_ids(binder.layers)
        self._last_writer = {top: k for k, layer in enumerate(binder.layers) for top in layer.top}

    @classmethod
    def of(
        cls,
        net: deploy.InferenceNet,
        weights: Weights | None,
        options: Options,
        dynamic_batches: Collection[int | None],
    ) -> Conversion:
        """The conversion of a net with its inputs declared and no layer converted yet.

        The declared batch sizes in `dynamic_batches` become symbols.
        """
        conversion = cls(net.name, Binder(weights, net.layers, net.declared, options.init))
        conversion.declare_inputs(resolve_shapes(net.inputs, net.declared, weights, options, dynamic_batches))
        return conversion

    def declare_inputs(self, shapes: Mapping[str, Shape]) -> None:
        """Add the inputs of the net to the graph."""
        for name, shape in shapes.items():
            storage = next((ids[name] for ids in self._storage_ids if name in ids), -1)
            self._blobs[name] = BlobVersion(self.graph.input(name, shape), storage)

    def convert_layers(self) -> None:
        """Convert every layer in net order. An unknown type is an error before any layer is converted."""
        for message in self.binder.layers:
            lookup(message)
        for position, message in enumerate(self.binder.layers):
            self._convert(position, message)

    def convert_what_is_possible(self) -> dict[int, ConverterError]:
        """Convert every layer that can be, and return the errors of the others by their position in the net.

        A layer that reads a blob of such a layer is an error too.
        """
        problems: dict[int, ConverterError] = {}
        for position, message in enumerate(self.binder.layers):
            try:
                self._convert(position, message)
            except ConverterError as error:
                problems[position] = error
                for top in message.top:
                    self._missing[top] = message.name
        return problems

    def shape_text(self, name: str) -> str:
        """The shape that a blob has at this point of the net."""
        version = self._blobs.get(name)
        return shape_text(dims(version.value)) if version is not None else "unknown"

    def outputs(self, names: Sequence[str]) -> dict[str, ir.Value]:
        """The values of these blobs at the end of the net."""
        return {name: self._read(name, f"output {name!r}") for name in names}

    def _convert(self, position: int, message: schema.Message) -> None:
        layer_type = lookup(message)
        layer = BoundLayer(message, self.binder, layer_type.parameters(message))
        _check_counts(layer, layer_type)
        layer.check(layer_type.in_place or not in_place_tops(message), "Caffe does not compute this in place")
        reader = f"layer {layer.name!r} ({layer.type})"
        bottoms = [self._read(name, reader) for name in message.bottom]
        with self.graph.layer(layer.name, f"Caffe {layer.type}"):
            tops = layer_type(self.graph, layer, bottoms)
        self._assign_tops(position, layer, bottoms, tops)

    def _read(self, name: str, reader: str) -> ir.Value:
        if name in self._missing:
            raise UnsupportedError(
                f"{reader} depends on layer {self._missing[name]!r}, which cannot be converted"
            )
        version = self._blobs[name]
        if version.overwritten is None:
            return version.value
        self.notes[name] = (
            f"{reader} reads the blob {name!r} after a layer has changed its memory in place under another "
            "name, and gets the changed values, as in Caffe"
        )
        return self.graph.reshape(version.overwritten, dims(version.value))

    def _assign_tops(
        self, position: int, layer: BoundLayer, bottoms: list[ir.Value], tops: list[ir.Value]
    ) -> None:
        """Let the names of the layer's tops stand for these values from now on, and name nodes and values."""
        layer.check(len(tops) == layer.top_count, f"has {layer.top_count} top(s), expected {len(tops)}")
        self.made[id(layer.message)] = tops
        in_place = in_place_tops(layer.message)
        for name, value in zip(layer.message.top, tops, strict=True):
            storage = self._storage_ids[position][name]
            if name in in_place:
                for other in self._blobs.values():
                    other.overwritten = value if other.storage == storage else other.overwritten
            self._blobs.pop(name, None)  # so that the dict stays in the order of the last writers
            self._blobs[name] = BlobVersion(value, storage)
            final = name if self._last_writer[name] == position else None
            if value not in bottoms:
                self.graph.name_result(value, layer.name, final)
            elif name in in_place:  # passed through: its node keeps the name of the layer that made it
                self.graph.name_result(value, None, final)


def lookup(message: schema.Message) -> LayerType:
    """The type of this layer. UnsupportedError says why it is not converted, or lists similar types."""
    types = layer_types()
    if message.type in types:
        return types[message.type]
    if not message.type:
        raise FormatError(f"layer {message.name!r} has no type")
    if is_python_proposal(message):
        raise UnsupportedError(advice(message))
    if message.type in UNSUPPORTED:
        raise UnsupportedError(f"layer {message.name!r} ({message.type}): {UNSUPPORTED[message.type]}")
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
