"""Bound layers -> ONNX graph, following the blobs as Caffe does, in place and in shared memory too."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import onnx_ir as ir

from converters.dropout import stop_gradient
from converters.errors import ConverterError, FormatError, LimitError, UnsupportedError
from converters.from_caffe import deploy, schema
from converters.from_caffe.bind import MOST_SUGGESTIONS, Binder
from converters.from_caffe.blob_aliasing import in_place_tops, storage_ids
from converters.from_caffe.bound_layer import BoundLayer
from converters.from_caffe.input_shapes import resolve_shapes
from converters.from_caffe.layers import LayerType, layer_types
from converters.from_caffe.layers.unsupported import UNSUPPORTED
from converters.from_caffe.limits import blob_problem
from converters.from_caffe.python_proposals import advice, is_python_proposal
from converters.from_caffe.weights import Weights
from converters.graph import Graph
from converters.options import Options
from converters.sizes import Shape, Symbol, dims, shape_text
from converters.suggestions import close_names


@dataclass(frozen=True)
class BlobVersion:
    """What a blob name stands for at one point of the net.

    storage: in Caffe, versions with the same id share their memory.
    written: counts the versions in the order in which they are made. Once a layer has worked in place on a
        later version in the same storage, this one has its content.
    """

    value: ir.Value
    storage: int
    written: int


class Conversion:
    """One conversion under way: the graph so far, and the values that the blob names stand for.

    made: the values of a layer's tops, by the id() of its message.
    notes: what a person should know, by what it is about: the binder's, and those about blobs.
    """

    def __init__(
        self, name: str, binder: Binder, training: Mapping[str, schema.Message] | None = None
    ) -> None:
        self.graph = Graph(name, _stored_bytes(binder.weights))
        self.binder = binder
        self._training = training or {}
        self.made: dict[int, list[ir.Value]] = {}
        self.notes = binder.notes
        self._blobs: dict[str, BlobVersion] = {}
        # by storage: what a layer in place last wrote there
        self._written_in_place: dict[int, BlobVersion] = {}
        self._writes = 0
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
        conversion = cls(net.name, Binder(weights, net.layers, net.declared, options.init), net.training)
        conversion.declare_inputs(resolve_shapes(net.inputs, net.declared, weights, options, dynamic_batches))
        return conversion

    def declare_inputs(self, shapes: Mapping[str, Shape]) -> None:
        """Add the inputs of the net to the graph."""
        first_storage: dict[str, int] = {}
        for ids in self._storage_ids:
            for name, storage in ids.items():
                first_storage.setdefault(name, storage)
        for name, shape in shapes.items():
            self._blobs[name] = BlobVersion(self.graph.input(name, shape), first_storage.get(name, -1), 0)

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
                self._convert(position, message, suggest=len(problems) < MOST_SUGGESTIONS)
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
        """The values of these blobs at the end of the net. FormatError for one that no blob can hold."""
        values = {name: self._read(name, f"output {name!r}") for name in names}
        for name, value in values.items():
            sizes = [size.factor if isinstance(size, Symbol) else size for size in dims(value)]
            if (problem := blob_problem(sizes)) is not None:
                raise FormatError(f"output {name!r} would be {shape_text(dims(value))}; {problem}")
        return values

    def _convert(self, position: int, message: schema.Message, *, suggest: bool = True) -> None:
        layer_type = lookup(message, suggest=suggest)
        training = self._training.get(message.name)
        layer = BoundLayer(message, self.binder, layer_type.parameters(message), training)
        _check_counts(layer, layer_type)
        layer.check(layer_type.in_place or not in_place_tops(message), "Caffe does not compute this in place")
        reader = f"layer {layer.name!r} ({layer.type})"
        bottoms = [self._read(name, reader) for name in message.bottom]
        with self.graph.layer(layer.name, f"Caffe {layer.type}", layer.multipliers):
            bottoms = self._without_gradients(layer, bottoms)
            try:
                tops = layer_type(self.graph, layer, bottoms)
            except LimitError as error:  # from the graph, which knows no layers
                named = f"layer {layer.name!r}" in str(error)
                raise error if named else LimitError(f"{reader}: {error}") from None
        self._assign_tops(position, layer, bottoms, tops)

    def _without_gradients(self, layer: BoundLayer, bottoms: list[ir.Value]) -> list[ir.Value]:
        """The bottoms, some of which the layer passes no gradient to (Net::AppendBottom)."""
        passes = list((layer.message if layer.training is None else layer.training).propagate_down)
        layer.check(
            len(passes) in (0, len(bottoms)),
            f"states propagate_down {len(passes)} times; it has {len(bottoms)} bottom(s)",
        )
        return [
            stop_gradient(self.graph, bottom) if k < len(passes) and not passes[k] else bottom
            for k, bottom in enumerate(bottoms)
        ]

    def _read(self, name: str, reader: str) -> ir.Value:
        if name in self._missing:
            raise UnsupportedError(
                f"{reader} depends on layer {self._missing[name]!r}, which cannot be converted"
            )
        version = self._blobs[name]
        overwritten = self._written_in_place.get(version.storage, version)
        if overwritten.written <= version.written:
            return version.value
        self.notes[name] = (
            f"{reader} reads the blob {name!r} after a layer has changed its memory in place under another "
            "name, and gets the changed values, as in Caffe"
        )
        return self.graph.reshape(overwritten.value, dims(version.value))

    def _assign_tops(
        self, position: int, layer: BoundLayer, bottoms: list[ir.Value], tops: list[ir.Value]
    ) -> None:
        """Let the names of the layer's tops stand for these values from now on, and name nodes and values."""
        layer.check(len(tops) == layer.top_count, f"has {layer.top_count} top(s), expected {len(tops)}")
        self.made[id(layer.message)] = tops
        in_place = in_place_tops(layer.message)
        for name, value in zip(layer.message.top, tops, strict=True):
            storage = self._storage_ids[position][name]
            self._writes += 1
            self._blobs[name] = BlobVersion(value, storage, self._writes)
            if name in in_place:
                self._written_in_place[storage] = self._blobs[name]
            final = name if self._last_writer[name] == position else None
            if value not in bottoms:
                self.graph.name_result(value, layer.name, final)
            elif name in in_place:  # passed through: its node keeps the name of the layer that made it
                self.graph.name_result(value, None, final)


def _stored_bytes(weights: Weights | None) -> int | None:
    """The bytes of all blobs that are stored; None where blobs only stand for what a layer asks for."""
    if weights is None:
        return 0
    if weights.are_placeholders:
        return None
    blobs = [blob for stored in weights.layers() for blob in stored.blobs if blob is not None]
    return sum(blob.values.nbytes for blob in blobs)


def lookup(message: schema.Message, *, suggest: bool = True) -> LayerType:
    """The type of this layer. UnsupportedError says why it is not converted, or suggests similar types."""
    types = layer_types()
    if message.type in types:
        return types[message.type]
    if not message.type:
        raise FormatError(f"layer {message.name!r} has no type")
    if is_python_proposal(message):
        raise UnsupportedError(advice(message))
    if message.type in UNSUPPORTED:
        raise UnsupportedError(f"layer {message.name!r} ({message.type}): {UNSUPPORTED[message.type]}")
    close = close_names(message.type, types, 3) if suggest else []
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
