"""Layers that rearrange, cut or reduce axes."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from converters.from_caffe.bound_layer import BoundLayer
from converters.from_caffe.layers.checks import check_rank, fixed_image
from converters.from_caffe.layers.registry import layer
from converters.graph import Graph, scalar
from converters.sizes import Dim, Symbol, dims, product

_INT64 = ir.DataType.INT64


@layer("Flatten", param="flatten_param", in_place=False, shares_memory=True, keeps_labels=True)
def flatten(g: Graph, layer: BoundLayer, x: ir.Value) -> ir.Value:
    """The axes from `axis` to `end_axis` as one."""
    shape = dims(x)
    start, end = layer.axis(layer.param.axis, len(shape)), layer.axis(layer.param.end_axis, len(shape))
    layer.check(start <= end, f"axis {start} lies behind end_axis {end}")
    wanted = (*shape[:start], product(shape[start : end + 1]), *shape[end + 1 :])
    if start == 1 and end == len(shape) - 1 and wanted != shape:
        return g.node("Flatten", x, shape=wanted, axis=1)
    return g.reshape(x, wanted)


@layer(
    "Reshape",
    param="reshape_param",
    fork_field_numbers=(136,),
    in_place=False,
    shares_memory=True,
    keeps_labels=True,
)
def reshape(g: Graph, layer: BoundLayer, x: ir.Value) -> ir.Value:
    """Axes `axis` .. `axis + num_axes` get new sizes; 0 copies the old one, -1 is what remains."""
    p = layer.param
    shape = dims(x)
    if p.pixelshuffler != 1:
        # Intel's fork, which then ignores the other parameters.
        return channels_to_pixels(g, layer, x, p.pixelshuffler)
    # The axis may be the one behind the last, which appends axes.
    layer.check(-len(shape) - 1 <= p.axis <= len(shape), f"axis {p.axis} does not exist in {len(shape)} axes")
    start = p.axis if p.axis >= 0 else len(shape) + p.axis + 1
    layer.check(p.num_axes >= -1, f"num_axes must be -1 or more, it is {p.num_axes}")
    end = len(shape) if p.num_axes == -1 else start + p.num_axes
    layer.check(
        end <= len(shape), f"axis {start} and num_axes {p.num_axes} reach beyond the {len(shape)} axes"
    )
    middle = _middle(layer, list(p.shape.dim), shape, start, end)
    return g.reshape(x, (*shape[:start], *middle, *shape[end:]))


def channels_to_pixels(g: Graph, layer: BoundLayer, x: ir.Value, size: int) -> ir.Value:
    """Each group of size^2 consecutive channels as one channel that is `size` times as high and wide."""
    n, channels, height, width = fixed_image(layer, x)
    layer.check(
        size > 0 and channels % size**2 == 0, f"{size} squared does not divide the {channels} channels"
    )
    larger = (n, channels // size**2, height * size, width * size)
    return g.node("DepthToSpace", x, shape=larger, blocksize=size, mode="CRD")


def _middle(layer: BoundLayer, wanted: list[int], shape: tuple[Dim, ...], start: int, end: int) -> list[Dim]:
    layer.check(sum(size == -1 for size in wanted) <= 1, "at most one size may be -1")
    sizes: list[Dim] = []
    for k, size in enumerate(wanted):
        layer.check(size >= -1, f"a size of {size} makes no sense")
        if size == 0:
            layer.check(start + k < len(shape), f"size {k} copies an axis that the bottom does not have")
        sizes.append(shape[start + k] if size == 0 else size)
    have = product(shape[start:end])
    if -1 not in wanted:
        layer.check_element_count(product(sizes), have)
        return sizes
    rest = product([size for size, stated in zip(sizes, wanted, strict=True) if stated != -1])
    sizes[wanted.index(-1)] = layer.quotient(have, rest)
    return sizes


@layer("Crop", param="crop_param", in_place=False, keeps_labels=True)
def crop(g: Graph, layer: BoundLayer, x: ir.Value, reference: ir.Value) -> ir.Value:
    """The part of x, from `offset` on, that has the reference's size along the axes from `axis` on."""
    p = layer.param
    shape, like = dims(x), dims(reference)
    axis = layer.axis(p.axis, len(shape))
    layer.check(len(like) >= len(shape), f"the reference has {len(like)} axes, the bottom {len(shape)}")
    cropped = range(axis, len(shape))
    layer.check(
        len(p.offset) in (0, 1, len(cropped)), f"{len(p.offset)} offsets for {len(cropped)} cropped axes"
    )
    given = list(p.offset) or [0]
    offsets = given * len(cropped) if len(given) == 1 else given
    todo = {k: offset for k, offset in zip(cropped, offsets, strict=True) if offset or shape[k] != like[k]}
    for k in list(todo):
        if _check_crop(layer, k, shape[k], todo[k], like[k]):
            x = _cut_out(g, layer, x, k, todo.pop(k), reference)
    if not todo:
        return x
    starts = np.array(list(todo.values()), np.int64)
    ends = np.array([offset + int(like[k]) for k, offset in todo.items()], np.int64)  # type: ignore[arg-type]
    result = (*shape[:axis], *like[axis : len(shape)])
    return g.node("Slice", x, starts, ends, np.array(list(todo), np.int64), shape=result)


def _check_crop(layer: BoundLayer, axis: int, size: Dim, offset: int, wanted: Dim) -> bool:
    """Whether a size of this axis is known only at run time. FormatError where the crop cannot fit."""
    counted = any(isinstance(s, Symbol) and s.batch for s in (size, wanted))
    if counted and not _fits_any_batch(size, offset, wanted):
        size, wanted = (layer.static(s, f"the size of axis {axis}") for s in (size, wanted))
    known = not isinstance(size, Symbol) and not isinstance(wanted, Symbol)
    fits = size - offset >= wanted if known else not offset or size != wanted  # type: ignore[operator]
    layer.check(fits, f"axis {axis}: offset {offset} + size {wanted} exceed {size}")
    return not known


def _cut_out(
    g: Graph, layer: BoundLayer, x: ir.Value, axis: int, offset: int, reference: ir.Value
) -> ir.Value:
    """One axis cropped by a Split. It fails where x is too short, as Caffe does; a Slice would not fail."""
    wanted = dims(reference)[axis]
    if isinstance(wanted, Symbol):
        length = g.node("Shape", reference, shape=(1,), dtype=_INT64, start=axis, end=axis + 1)
    else:
        length = g.constant(np.array([wanted], np.int64))
    whole = g.node("Shape", x, shape=(1,), dtype=_INT64, start=axis, end=axis + 1)
    rest = g.node("Sub", whole, length)
    if offset:
        rest = g.node("Sub", rest, np.array([offset], np.int64))
    before = [np.array([offset], np.int64)] if offset else []
    sizes = [*([offset] if offset else []), wanted, Symbol(f"{layer.name}_rest_{axis}")]
    split = g.node("Concat", *before, length, rest, shape=(len(sizes),), dtype=_INT64, axis=0)
    shapes = [(*dims(x)[:axis], size, *dims(x)[axis + 1 :]) for size in sizes]
    return g.nodes("Split", x, split, shapes=shapes, axis=axis)[1 if offset else 0]


def _fits_any_batch(size: Dim, offset: int, wanted: Dim) -> bool:
    """Whether the crop fits for every batch size: it does if it fits for a batch of 1."""
    if not isinstance(size, Symbol):
        return False
    if isinstance(wanted, Symbol):
        return size.name == wanted.name and size.factor - wanted.factor >= offset
    return size.factor >= offset + wanted


@layer("Tile", param="tile_param", fork_field_numbers=(135,), in_place=False)
def tile(g: Graph, layer: BoundLayer, x: ir.Value) -> ir.Value:
    """An axis repeated `tiles` times."""
    p = layer.param
    layer.check(p.HasField("tiles"), "the number of tiles must be given")
    layer.check(p.tiles > 0, f"the number of tiles must be positive, it is {p.tiles}")
    shape = dims(x)
    axis = layer.axis(p.axis, len(shape))
    repeats = np.array([p.tiles if k == axis else 1 for k in range(len(shape))], np.int64)
    return g.node("Tile", x, repeats, shape=(*shape[:axis], shape[axis] * p.tiles, *shape[axis + 1 :]))


SUM, ASUM, SUMSQ, MEAN = range(1, 5)


@layer("Reduction", param="reduction_param", in_place=False, keeps_labels=True)
def reduction(g: Graph, layer: BoundLayer, x: ir.Value) -> ir.Value:
    """Sum, sum of magnitudes, sum of squares or mean over all axes from `axis` on, times `coeff`."""
    p = layer.param
    operators = {SUM: "ReduceSum", ASUM: "ReduceL1", SUMSQ: "ReduceSumSquare", MEAN: "ReduceMean"}
    if p.operation not in operators:
        raise layer.unsupported("TOPK is an operation of BatchReduction only")
    shape = dims(x)
    axis = layer.axis(p.axis, len(shape))
    axes = np.arange(axis, len(shape), dtype=np.int64)
    y = g.node(operators[p.operation], x, axes, shape=shape[:axis], keepdims=0)
    return g.node("Mul", y, scalar(p.coeff)) if p.coeff != 1 else y


@layer("ArgMax", param="argmax_param", in_place=False)
def argmax(g: Graph, layer: BoundLayer, x: ir.Value) -> ir.Value:
    """The places (as floats) of the top_k largest values, ties taking the larger index; or the values.

    The values are searched along `axis`, or over each flattened item. Without axis, out_max_val gives places
    and values side by side.
    """
    p = layer.param
    shape = dims(x)
    check_rank(layer, x, 1)
    along = layer.axis(p.axis, len(shape)) if p.HasField("axis") else 1
    searched = shape if p.HasField("axis") else (shape[0], product(shape[1:]))
    size = searched[along]
    layer.check(p.top_k >= 1, "top_k must be at least 1")
    if not isinstance(size, Symbol) or p.top_k > size.factor:  # N is at least 1
        size = layer.static(size, "the number of values compared")
        layer.check(p.top_k <= size, f"top_k {p.top_k} exceeds the {size} values compared")
    found_shape = (*searched[:along], p.top_k, *searched[along + 1 :])
    if p.HasField("axis") and p.out_max_val:
        return _largest(g, x, along, found_shape)[0]
    values, places = _last_largest(g, g.reshape(x, searched), along, size, found_shape)
    if p.HasField("axis"):
        return places
    rank = max(len(shape), 3)
    if not p.out_max_val:
        return g.reshape(places, (shape[0], 1, p.top_k, *(1,) * (rank - 3)))
    rows = [g.reshape(part, (shape[0], 1, p.top_k, *(1,) * (rank - 3))) for part in (places, values)]
    return g.node("Concat", *rows, shape=(shape[0], 2, p.top_k, *(1,) * (rank - 3)), axis=1)


def _largest(g: Graph, x: ir.Value, axis: int, shape: tuple[Dim, ...]) -> list[ir.Value]:
    """[values, places]; of equal values the smaller place."""
    return g.nodes(
        "TopK",
        x,
        np.array([shape[axis]], np.int64),
        shapes=[shape, shape],
        dtypes=[ir.DataType.FLOAT, ir.DataType.INT64],
        axis=axis,
    )


def _last_largest(
    g: Graph, x: ir.Value, axis: int, size: Dim, shape: tuple[Dim, ...]
) -> tuple[ir.Value, ir.Value]:
    """(values, places as floats); of equal values the larger place, so the axis is reversed first."""
    reverse = np.array([-1], np.int64)
    backwards = g.node(
        "Slice", x, reverse, np.array([-(2**63)], np.int64), np.array([axis], np.int64), reverse
    )
    values, places = _largest(g, backwards, axis, shape)
    if isinstance(size, Symbol):
        count = g.node("Shape", x, shape=(1,), dtype=ir.DataType.INT64, start=axis, end=axis + 1)
        last = g.node("Sub", count, np.array([1], np.int64))
    else:
        last = g.constant(np.array(size - 1, np.int64))
    forwards = g.node("Sub", last, places, shape=shape)
    return values, g.cast(forwards, ir.DataType.FLOAT)
