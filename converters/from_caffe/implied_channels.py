"""How many channels an input has, by the stored weights of the layers that read it.

The layers between the input and the first stored weights are computed for two numbers of channels, which
shows how the size that the weights tell depends on the channels. Each layer is passed once, so the time is
linear in the number of layers, however they are wired.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir

from converters.errors import ConverterError, MismatchError
from converters.from_caffe import schema
from converters.from_caffe.bound_layer import BoundLayer, Parameter
from converters.from_caffe.layers import LayerType, layer_types
from converters.from_caffe.weights import Weights
from converters.graph import Graph
from converters.sizes import Dim, Shape, Symbol, dims, product
from converters.suggestions import close_names

# The numbers of channels that are tried: Slice can divide both into 2 to 6 equal parts.
_TRIED = (60, 120)
# Layers with more values are not passed; behind them nothing depends on the channels.
_MOST_PARAMETERS = 2**16
# The ranks to try for an input of which only the weights tell the rank.
_RANKS = (4, 5, 3, 2)


@dataclass
class _AnyParameters:
    """Parameters of every wanted shape, for layers of which only the shapes matter."""

    weights: Weights | None = None
    notes: dict[str, str] = field(default_factory=dict)

    def __init__(self) -> None:
        self.notes: dict[str, str] = {}

    def parameters(self, layer: BoundLayer, wanted: Sequence[Parameter]) -> list[np.ndarray]:
        for parameter in wanted:
            if math.prod(parameter.shape) > _MOST_PARAMETERS:
                raise MismatchError(f"layer {layer.name!r}: its {parameter.name} is too large to be tried")
        return [np.broadcast_to(np.float32(1), parameter.shape) for parameter in wanted]


@dataclass
class _Search:
    """The blobs that depend on the channels, each for both numbers in `_TRIED`.

    unstored: the layers that could tell the channels, and that the weights file lacks.
    """

    weights: Weights
    blobs: dict[str, tuple[ir.Value, ...]]
    graph: Graph = field(default_factory=lambda: Graph("sizes"))
    unstored: list[schema.Message] = field(default_factory=list)

    def channels(self, layers: Sequence[schema.Message], depends: set[str]) -> int | None:
        """The channels that the first layer with stored weights implies; None where no layer tells.

        A convolution tells more than a matrix product, which flattens its bottom, and so comes first.
        """
        by_product = None
        for layer in layers:
            if not len(layer.bottom):
                continue
            layer_type = layer_types().get(layer.type)
            if depends.intersection(layer.bottom) and layer_type is not None:
                found, flattens = self._told(layer, layer_type)
                if found is not None and not flattens:
                    return found
                by_product = by_product or found
                self._pass(layer, layer_type, depends)
            else:
                self._forget(layer, depends)
            if not depends:
                break
        return by_product

    def _told(self, layer: schema.Message, layer_type: LayerType) -> tuple[int | None, bool]:
        """(the channels of the input by this layer's first stored blob, whether it flattens its bottom)."""
        if layer_type.bottom_of_blob is None or layer.bottom[0] not in self.blobs:
            return None, False
        stored = self.weights.stored(layer.name, None)
        if stored is None or not stored.blobs:
            if len(layer.bottom) == 1:
                self.unstored.append(layer)
            return None, False
        param: schema.Message = layer_type.parameters(layer)
        told = layer_type.bottom_of_blob(param, stored.shapes[0])
        if told is None:
            return None, False
        size, rank = told
        shapes = [dims(value) for value in self.blobs[layer.bottom[0]]]
        if rank == 2:
            return _solved(size, [_elements(shape, param.axis) for shape in shapes]), True
        return _solved(size, [shape[1] if len(shape) == rank else None for shape in shapes]), False

    def _pass(self, layer: schema.Message, layer_type: LayerType, depends: set[str]) -> None:
        """Compute the tops of a layer from its bottoms, if all bottoms are known."""
        if any(bottom not in self.blobs for bottom in layer.bottom):
            self._forget(layer, depends)
            return
        bound = BoundLayer(layer, _AnyParameters(), layer_type.parameters(layer))
        made = []
        try:
            for k in range(len(_TRIED)):
                bottoms = [self.blobs[bottom][k] for bottom in layer.bottom]
                with self.graph.layer(layer.name, layer.type):
                    made.append(layer_type(self.graph, bound, bottoms))
        except ConverterError:
            self._forget(layer, depends)
            return
        for k, top in enumerate(layer.top):
            tops = tuple(values[k] for values in made if k < len(values))
            if len(tops) < len(_TRIED):
                continue
            self.blobs[top] = tops
            if dims(tops[0]) != dims(tops[1]):
                depends.add(top)
            else:
                depends.discard(top)

    def _forget(self, layer: schema.Message, depends: set[str]) -> None:
        for top in layer.top:
            depends.discard(top)
            self.blobs.pop(top, None)


def implied_channels(
    name: str,
    shape: tuple[int | None, ...] | None,
    known: Mapping[str, Sequence[int | str | None]],
    layers: Sequence[schema.Message],
    weights: Weights,
) -> tuple[int, int] | None:
    """(channels, rank) of the input `name` by the stored weights; None where they do not tell them.

    shape: what is known of the input's shape; None where even its rank is unknown. known: the shapes of the
    other inputs. MismatchError where the layers that would tell are not in the weights file.
    """
    unstored: list[schema.Message] = []
    for sizes in [shape] if shape is not None else [(None,) * rank for rank in _RANKS]:
        graph = Graph("sizes")
        blobs: dict[str, tuple[ir.Value, ...]] = {
            other: (graph.input(other, _tried(other, given, None)),) * 2
            for other, given in known.items()
            if other != name
        }
        blobs[name] = tuple(graph.input(name, _tried(name, sizes, channels)) for channels in _TRIED)
        search = _Search(weights, blobs, graph)
        found = search.channels(layers, {name})
        if found is not None:
            return found, len(sizes)
        unstored += search.unstored
    if unstored:
        raise MismatchError(
            f"the definition does not tell the channels of input {name!r}, and layer {unstored[0].name!r} "
            f"({unstored[0].type}), whose weights would, is not in them: "
            f"{why_not_stored(weights, unstored[0].name)}"
        )
    return None


def why_not_stored(weights: Weights, name: str, *, suggest: bool = True) -> str:
    """What an error says where the weights file holds no layer of this name.

    suggest: whether to look for the name that may be meant.
    """
    names = [stored.name for stored in weights.layers()]
    close = close_names(name, names) if suggest else []
    return f"{weights.path.name} holds no layer of this name" + (
        f"; the closest stored name is {close[0]!r}: do the two files belong together?"
        if close
        else f"; it holds {len(names)} layers with parameters, such as {', '.join(map(repr, names[:3]))}"
    )


def _tried(name: str, sizes: Sequence[int | str | None], channels: int | None) -> Shape:
    """The shape to compute with: one item, these channels, and symbols for what is unknown."""
    shape: list[Dim] = [
        size if isinstance(size, int) else Symbol(size or f"{name}_{k}") for k, size in enumerate(sizes)
    ]
    if shape and not isinstance(shape[0], int):
        shape[0] = 1
    if channels is not None:
        shape[1] = channels
    return tuple(shape)


def _elements(shape: Shape, axis: int) -> int | None:
    """How many elements the axes from `axis` on hold; None where that depends on an unknown size."""
    try:
        count = product(shape[axis:])
    except ConverterError:
        return None
    return count if isinstance(count, int) else None


def _solved(size: int, measured: Sequence[Dim | None]) -> int | None:
    """The channels for which a size, measured for both numbers in `_TRIED`, becomes `size`."""
    first, second = measured
    if not isinstance(first, int) or not isinstance(second, int) or second <= first:
        return None
    (few, many), growth = _TRIED, second - first
    over, rest = divmod((size - first) * (many - few), growth)
    return few + over if not rest and few + over > 0 else None
