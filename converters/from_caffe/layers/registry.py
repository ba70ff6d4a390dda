"""The registry of layer types: what is known of each, and the decorator that adds a type to it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import onnx_ir as ir

from converters.from_caffe import schema
from converters.from_caffe.bound_layer import BoundLayer
from converters.from_caffe.limits import blob_problem
from converters.graph import Graph
from converters.registry import Registry
from converters.sizes import Symbol, dims, shape_text

Function = TypeVar("Function", bound=Callable[..., Any])
ForkMessageFields = Mapping[int, Mapping[int, Sequence[str]]]
# (parameter message, shape of the first stored blob) -> (channels, axes) of the first bottom, or None.
BottomOfBlob = Callable[[schema.Message, tuple[int, ...]], tuple[int, int] | None]


@dataclass(frozen=True)
class LayerType:
    """One type of layer: the function that converts it, and what other steps must know of the type.

    Where a fact is a function, it depends on the definition of the layer: the function gets the layer's
    message (a LayerParameter), or its parameter message where that is said.

    name: the type as it stands in a definition.
    function: `(graph, layer, *bottoms) -> top or tops`; its docstring is the summary of the type.
    param: the field of LayerParameter that holds its parameters, or None.
    fork_field_numbers: the numbers, beside that of `param` in schema/, at which some fork stores these
        parameters in a caffemodel. One number means different things in different forks; the type decides.
    fork_message_fields: by such a number (or that of `param`), for forks that number the fields inside the
        message otherwise than schema/ does: the field's number there -> the names it may have in schema/. Of
        several names, the wire type decides. Numbers that are not listed are those of schema/.
    in_place: whether Caffe allows a top with the name of its bottom.
    shares_memory: whether its tops are the memory of its first bottom, so that a later in-place layer on
        either changes both.
    tops, bottoms: how many it may have, (least, most); most is None where there is no limit.
    time_major_bottoms: how many of its first bottoms have the axes (time, item, ...); a function returns the
        names of these bottoms.
    keeps_time: whether a top has the axes time and item where its bottoms have them; a function gets the
        parameter message.
    keeps_labels: whether training definitions also apply it to labels, of which it makes labels again.
    bottom_of_blob: what the first stored blob tells of the first bottom.
    """

    name: str
    function: Callable[..., Any]
    param: str | None = None
    fork_field_numbers: frozenset[int] = frozenset()
    fork_message_fields: ForkMessageFields = field(default_factory=dict)
    in_place: bool = True
    shares_memory: bool | Callable[[schema.Message], bool] = False
    tops: tuple[int, int | None] = (1, 1)
    bottoms: tuple[int, int | None] = (1, 1)
    time_major_bottoms: int | Callable[[schema.Message], Sequence[str]] = 0
    keeps_time: bool | Callable[[schema.Message], bool] = False
    keeps_labels: bool = False
    bottom_of_blob: BottomOfBlob | None = None

    def __call__(self, graph: Graph, layer: BoundLayer, bottoms: Sequence[ir.Value]) -> list[ir.Value]:
        """The values of the tops; nodes and parameters are added to the graph."""
        _check_size(layer, "bottom", bottoms)
        result = self.function(graph, layer, *bottoms)
        tops = list(result) if isinstance(result, list | tuple) else [result]
        _check_size(layer, "top", tops)
        return tops

    def parameters(self, message: schema.Message) -> schema.Message | None:
        """The parameter message of a layer of this type; None for a type without parameters."""
        return getattr(message, self.param) if self.param is not None else None

    def tops_share_memory(self, message: schema.Message) -> bool:
        """Whether the tops of this layer are the memory of its first bottom."""
        shares = self.shares_memory
        return len(message.bottom) > 0 and (shares(message) if callable(shares) else shares)

    def time_major(self, message: schema.Message) -> Sequence[str]:
        """The names of the bottoms of this layer that have the axes (time, item, ...)."""
        which = self.time_major_bottoms
        return which(message) if callable(which) else list(message.bottom[:which])

    def passes_time_on(self, message: schema.Message) -> bool:
        """Whether the tops of this layer have the axes time and item where its bottoms have them."""
        keeps = self.keeps_time
        return keeps(self.parameters(message)) if callable(keeps) else keeps


LAYER_TYPES: Registry[LayerType] = Registry("layer type")


def layer(
    *names: str,
    param: str | None = None,
    fork_field_numbers: Sequence[int] = (),
    fork_message_fields: ForkMessageFields | None = None,
    in_place: bool = True,
    shares_memory: bool | Callable[[schema.Message], bool] = False,
    tops: tuple[int, int | None] = (1, 1),
    time_major_bottoms: int | Callable[[schema.Message], Sequence[str]] = 0,
    keeps_time: bool | Callable[[schema.Message], bool] = False,
    keeps_labels: bool = False,
    bottom_of_blob: BottomOfBlob | None = None,
) -> Callable[[Function], Function]:
    """Add the decorated function `(graph, layer, *bottoms) -> top or tops` as the type of each of `names`.

    The other parameters are those of LayerType; the number of bottoms is read from the function's parameters.
    ValueError if a type of that name is there already.
    """

    def register(function: Function) -> Function:
        for name in names:
            entry = LayerType(
                name,
                function,
                param,
                frozenset(fork_field_numbers),
                fork_message_fields or {},
                in_place,
                shares_memory,
                tops,
                _bottom_range(function),
                time_major_bottoms,
                keeps_time,
                keeps_labels,
                bottom_of_blob,
            )
            LAYER_TYPES.add(name, entry)
        return function

    return register


def one_value_per_channel(param: schema.Message, shape: tuple[int, ...]) -> tuple[int, int] | None:
    """`bottom_of_blob` of a layer whose first stored blob holds a value for each channel of an image."""
    return (shape[-1], 4) if shape else None


def _check_size(layer: BoundLayer, what: str, blobs: Sequence[ir.Value]) -> None:
    for blob in blobs:
        problem = blob_problem([size.factor if isinstance(size, Symbol) else size for size in dims(blob)])
        if problem is not None:
            raise layer.invalid(f"a {what} would be {shape_text(dims(blob))}; {problem}")


def _bottom_range(function: Callable[..., Any]) -> tuple[int, int | None]:
    """How many bottoms a layer function takes: the parameters after the graph and the layer."""
    least, most = 0, 0
    for parameter in list(inspect.signature(function).parameters.values())[2:]:
        if parameter.kind is parameter.VAR_POSITIONAL:
            return max(least, 1), None
        most += 1
        least += parameter.default is parameter.empty
    return least, most
