"""Who makes and who reads each blob, and where it lies: the rules of Caffe's Net::Init, by names alone."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from converters.errors import FormatError
from converters.from_caffe import schema
from converters.from_caffe.layers import layer_types


def in_place_tops(layer: schema.Message) -> set[str]:
    """Names of the tops that are the bottom of the same index: Caffe computes these in place."""
    return {top for top, bottom in zip(layer.top, layer.bottom, strict=False) if top == bottom}


def check(layers: Sequence[schema.Message]) -> None:
    """FormatError for a blob read before it is made, made twice, or changed in place after it was read."""
    reads: dict[str, int] = {}
    for layer in layers:
        where = f"layer {layer.name!r} ({layer.type})"
        in_place = in_place_tops(layer)
        if "" in (*layer.bottom, *layer.top):
            raise FormatError(f"{where} has a bottom or a top without a name")
        for bottom in layer.bottom:
            if bottom not in reads:
                hint = _hint(bottom, reads)
                raise FormatError(f"{where} reads the blob {bottom!r}, which no layer before it makes{hint}")
            reads[bottom] += 1
        for top in layer.top:
            if top in in_place and reads[top] > 1:
                raise FormatError(
                    f"{where} changes the blob {top!r} in place after another layer read it; Caffe refuses"
                )
            if top in reads and top not in in_place:
                raise FormatError(f"{where} makes the blob {top!r}, which exists already")
            reads[top] = 0


def memories(layers: Sequence[schema.Message]) -> list[dict[str, int]]:
    """For each layer, a number by blob name: blobs of one number share their memory in Caffe.

    A layer that works in place changes all of them. A final entry holds every blob at the end of the net.
    """
    current: dict[str, int] = {}
    fresh = iter(range(sum(len(layer.bottom) + len(layer.top) for layer in layers)))
    named = []
    for layer in layers:
        for bottom in layer.bottom:
            current.setdefault(bottom, next(fresh))  # an input of the net
        shared = current[layer.bottom[0]] if shares_memory(layer) else None
        tops = {top: next(fresh) if shared is None else shared for top in layer.top}
        current |= tops | {top: current[top] for top in in_place_tops(layer)}
        named.append({name: current[name] for name in (*layer.bottom, *layer.top)})
    return [*named, current]


def shares_memory(layer: schema.Message) -> bool:
    """Whether the tops are the memory of the first bottom."""
    if layer.type in ("Concat", "Slice"):
        return bool(len(layer.bottom) == len(layer.top) == 1)
    return len(layer.bottom) > 0 and layer.type in layer_types() and layer_types()[layer.type].shares_memory


def _hint(name: str, made: dict[str, int]) -> str:
    close = difflib.get_close_matches(name, made, n=1)
    return f"; did you mean {close[0]!r}?" if close else "; layers must stand in the order of computation"
