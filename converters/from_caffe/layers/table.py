"""The table of layer types: what a family module registers and what the walk over a net asks of it."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import onnx_ir as ir

from converters.graph import Symbol, dims, shape_text

# Blob::Reshape of Caffe: a blob counts its values in an int.
MAX_BLOB_ELEMENTS = 2**31 - 1

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class LayerType:
    """How one type of layer is carried over.

    param: the field of LayerParameter with its parameters, or None.
    in_place: whether Caffe lets a top be its bottom.
    shares_memory: whether its tops are the memory of its first bottom, so that a later in-place layer on
        either changes both.
    tops: how many tops it may have, (least, most); most None for any number.
    """

    name: str
    function: Callable[..., Any]
    param: str | None
    in_place: bool
    shares_memory: bool
    tops: tuple[int, int | None]
    bottoms: tuple[int, int | None]

    def __call__(self, graph: Any, layer: Any, bottoms: Sequence[ir.Value]) -> list[ir.Value]:  # noqa: ANN401
        """The tops this layer makes of its bottoms."""
        _check_size(layer, "bottom", bottoms)
        result = self.function(graph, layer, *bottoms)
        tops = list(result) if isinstance(result, list | tuple) else [result]
        _check_size(layer, "top", tops)
        return tops


def _check_size(layer: Any, what: str, blobs: Sequence[ir.Value]) -> None:  # noqa: ANN401
    for blob in blobs:
        count = math.prod(size.factor if isinstance(size, Symbol) else size for size in dims(blob))
        layer.check(
            count <= MAX_BLOB_ELEMENTS,
            f"a {what} would be {shape_text(dims(blob))}; a blob of Caffe holds {MAX_BLOB_ELEMENTS:,} values",
        )


def layer(
    *names: str,
    param: str | None = None,
    in_place: bool = True,
    shares_memory: bool = False,
    tops: tuple[int, int | None] = (1, 1),
) -> Callable[[Function], Function]:
    """Register a function `(graph, layer, *bottoms) -> top or tops` for these layer types."""

    def register(function: Function) -> Function:
        types = [
            LayerType(name, function, param, in_place, shares_memory, tops, _bottom_range(function))
            for name in names
        ]
        function.layer_types = types  # type: ignore[attr-defined]
        return function

    return register


def registered(module: object) -> list[LayerType]:
    """The layer types a family module registers."""
    return [
        layer_type
        for member in vars(module).values()
        for layer_type in getattr(member, "layer_types", ())
        if inspect.isfunction(member)
    ]


def _bottom_range(function: Callable[..., Any]) -> tuple[int, int | None]:
    """How many bottoms a layer function takes: the parameters after the graph and the layer."""
    least, most = 0, 0
    for parameter in list(inspect.signature(function).parameters.values())[2:]:
        if parameter.kind is parameter.VAR_POSITIONAL:
            return max(least, 1), None
        most += 1
        least += parameter.default is parameter.empty
    return least, most
