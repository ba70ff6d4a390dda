"""Layers that join, split and pick blobs."""

from __future__ import annotations

import functools
import itertools

import numpy as np
import onnx_ir as ir

from converters.from_caffe import schema
from converters.from_caffe.bound_layer import BoundLayer
from converters.from_caffe.layers.registry import layer
from converters.graph import Graph, scalar
from converters.sizes import Dim, Symbol, dims, shape_text

PROD, SUM, MAX = range(3)
_STOCHASTIC_SUM = 3


@layer("Eltwise", param="eltwise_param", keeps_time=True, keeps_labels=True)
def eltwise(g: Graph, layer: BoundLayer, first: ir.Value, *others: ir.Value) -> ir.Value:
    """Product, weighted sum or maximum of blobs of one shape."""
    p = layer.param
    bottoms = (first, *others)
    layer.check(len(bottoms) >= 2, "needs two or more bottoms")
    for other in others:
        if dims(other) != dims(first):  # there may be tens of thousands: no text for those that agree
            raise layer.invalid(f"shapes differ: {_text(first)} and {_text(other)}")
    layer.check(not (p.operation == PROD and len(p.coeff)), "PROD takes no coeff")
    layer.check(len(p.coeff) in (0, len(bottoms)), f"{len(p.coeff)} coeff for {len(bottoms)} bottoms")
    if p.operation != PROD and layer.message.top[0] == layer.message.bottom[0]:
        raise layer.unsupported(
            "in place, Caffe's SUM and MAX lose the first operand; give the top its own name"
        )
    if p.operation == MAX:
        return functools.reduce(lambda a, b: g.node("Max", a, b), bottoms)
    if p.operation == PROD:
        return functools.reduce(lambda a, b: g.node("Mul", a, b), bottoms)
    terms = [
        g.node("Mul", x, scalar(c)) if c != 1 else x
        for x, c in zip(bottoms, p.coeff or [1] * len(bottoms), strict=True)
    ]
    return functools.reduce(lambda a, b: g.node("Add", a, b), terms)


def _text(x: ir.Value) -> str:
    return shape_text(dims(x))


def _passes_through(message: schema.Message) -> bool:
    """Whether a Concat or a Slice has a single bottom and a single top, which then share their memory."""
    return len(message.bottom) == len(message.top) == 1


@layer(
    "Concat",
    param="concat_param",
    in_place=False,
    keeps_time=lambda p: p.axis not in (0, 1),
    keeps_labels=True,
    shares_memory=_passes_through,
)
def concat(g: Graph, layer: BoundLayer, first: ir.Value, *others: ir.Value) -> ir.Value:
    """Blobs joined along an axis; a single one passes through."""
    p = layer.param
    layer.check(
        not (p.HasField("concat_dim") and p.HasField("axis")), "give either axis or concat_dim, not both"
    )
    rank = len(dims(first))
    axis = layer.axis(p.concat_dim if p.HasField("concat_dim") else p.axis, rank)
    if not others:
        return first
    before, behind = dims(first)[:axis], dims(first)[axis + 1 :]
    sizes = [dims(first)[axis]]
    for other in others:
        shape = dims(other)
        if len(shape) != rank or shape[:axis] != before or shape[axis + 1 :] != behind:
            raise layer.invalid(
                f"apart from axis {axis} the shapes must agree: {_text(first)} and {_text(other)}"
            )
        sizes.append(shape[axis])
    shape = (*before, layer.sum_of_sizes(sizes), *behind)
    return g.node("Concat", first, *others, shape=shape, axis=axis)


@layer(
    "Slice",
    param="slice_param",
    in_place=False,
    tops=(1, None),
    keeps_labels=True,
    shares_memory=_passes_through,
)
def slice_(g: Graph, layer: BoundLayer, x: ir.Value) -> list[ir.Value]:
    """A blob cut along an axis at the slice points, or into equal parts."""
    p = layer.param
    layer.check(
        not (p.HasField("slice_dim") and p.HasField("axis")), "give either axis or slice_dim, not both"
    )
    shape = dims(x)
    axis = layer.axis(p.slice_dim if p.HasField("slice_dim") else p.axis, len(shape))
    parts = layer.top_count
    if parts == 1 and not len(p.slice_point):
        return [x]
    size = shape[axis]
    if isinstance(size, Symbol) and (not size.batch or _cuts_any_batch(layer, size)):
        return _slices_of_unknown(g, layer, x, axis)
    size = layer.static(size, f"the size of axis {axis}, which is sliced,")
    if len(p.slice_point):
        _check_points(layer, size)
        sizes = [b - a for a, b in itertools.pairwise([0, *p.slice_point, size])]
    else:
        layer.check(size % parts == 0, f"{parts} tops do not evenly divide the axis of size {size}")
        sizes = [size // parts] * parts
    shapes = [(*shape[:axis], part, *shape[axis + 1 :]) for part in sizes]
    return g.nodes("Split", x, np.array(sizes, np.int64), shapes=shapes, axis=axis)


def _check_points(layer: BoundLayer, size: Dim) -> None:
    points, parts = list(layer.param.slice_point), layer.top_count
    layer.check(len(points) == parts - 1, f"{len(points)} slice points make {parts} tops")
    limits = [0, *points] if isinstance(size, Symbol) else [0, *points, size]
    layer.check(
        all(a < b for a, b in itertools.pairwise(limits)),
        f"slice points {points} must ascend and lie inside the axis of size {size}",
    )


def _cuts_any_batch(layer: BoundLayer, size: Symbol) -> bool:
    """Whether the cuts fit for every batch size: they do if they fit for a batch of 1."""
    points = list(layer.param.slice_point)
    return points[-1] < size.factor if points else size.factor % layer.top_count == 0


def _slices_of_unknown(g: Graph, layer: BoundLayer, x: ir.Value, axis: int) -> list[ir.Value]:
    """Slices along an axis whose size is known only at run time: a batch, or the result of a Filter."""
    before, size, behind = dims(x)[:axis], dims(x)[axis], dims(x)[axis + 1 :]
    points, parts = list(layer.param.slice_point), layer.top_count
    if not points:
        assert isinstance(size, Symbol)
        part = size // parts if size.batch else Symbol(f"{layer.name}_part")
        grouped = g.reshape(x, (*before, parts, part, *behind))
        shape = (*before, part, *behind)
        return [
            g.node("Gather", grouped, np.array(k, np.int64), shape=shape, axis=axis) for k in range(parts)
        ]
    _check_points(layer, size)
    sizes = [b - a for a, b in itertools.pairwise([0, *points])]
    # The rest is negative where a slice point lies outside the axis: the run then fails, as Caffe's does.
    whole = g.node("Shape", x, shape=(1,), dtype=ir.DataType.INT64, start=axis, end=axis + 1)
    left = g.node("Sub", whole, np.array(points[-1:], np.int64))
    split = g.node("Concat", g.constant(np.array(sizes, np.int64)), left, shape=(parts,), axis=0)
    rest = Symbol(f"{layer.name}_rest", batch=isinstance(size, Symbol) and size.batch)
    shapes = [(*before, part, *behind) for part in (*sizes, rest)]
    return g.nodes("Split", x, split, shapes=shapes, axis=axis)


@layer("Split", in_place=False, shares_memory=True, tops=(1, None), keeps_time=True, keeps_labels=True)
def split(g: Graph, layer: BoundLayer, x: ir.Value) -> list[ir.Value]:
    """The same blob under several names."""
    return [x] * layer.top_count


@layer("Silence", in_place=False, tops=(0, 0), keeps_labels=True)
def silence(g: Graph, layer: BoundLayer, first: ir.Value, *others: ir.Value) -> list[ir.Value]:
    """Reads blobs that must not become outputs."""
    return []


@layer("Filter", in_place=False, tops=(1, None))
def filter_(g: Graph, layer: BoundLayer, first: ir.Value, *others: ir.Value) -> list[ir.Value]:
    """The items of each bottom where the last bottom, the selector, is not zero."""
    *bottoms, selector = (first, *others)
    layer.check(
        len(bottoms) == layer.top_count, f"{len(bottoms)} blobs and a selector make {len(bottoms)} tops"
    )
    count = dims(selector)[:1]
    layer.check(
        len(count) == 1 and all(size == 1 for size in dims(selector)[1:]),
        f"the selector must be N x 1 x 1 ..., it is {_text(selector)}",
    )
    for x in bottoms:
        layer.check(dims(x)[:1] == count, f"the selector has {count[0]} items, a blob is {_text(x)}")
    flat = g.reshape(selector, dims(selector)[:1])
    chosen = g.cast(flat, ir.DataType.BOOL)
    selected = Symbol(f"{selector.name}_selected")
    return [g.node("Compress", x, chosen, shape=(selected, *dims(x)[1:]), axis=0) for x in bottoms]


@layer("BatchReindex", in_place=False)
def batch_reindex(g: Graph, layer: BoundLayer, x: ir.Value, index: ir.Value) -> ir.Value:
    """Items of the batch picked, repeated and reordered by an index blob."""
    layer.check(len(dims(index)) == 1, f"the index must have one axis, it is {_text(index)}")
    rows = g.cast(index, ir.DataType.INT64)
    return g.node("Gather", x, rows, shape=(*dims(index), *dims(x)[1:]), axis=0)
