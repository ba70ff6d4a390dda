"""Layers of Caffe's forks that rearrange, reverse or reduce axes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from converters.from_caffe.bound_layer import BoundLayer
from converters.from_caffe.layers.bvlc.shape import MEAN, SUM, channels_to_pixels
from converters.from_caffe.layers.checks import fixed_image, image_axes
from converters.from_caffe.layers.registry import layer
from converters.graph import Graph, scalar
from converters.sizes import dims, shape_text


@layer("Permute", param="permute_param", fork_field_numbers=(148, 154, 202, 224), in_place=False)
def permute(g: Graph, layer: BoundLayer, x: ir.Value) -> ir.Value:
    """Axes in a new order; the axes that `order` leaves out follow in their old order (SSD)."""
    rank = len(dims(x))
    order = list(layer.param.order)
    layer.check(
        all(axis < rank for axis in order), f"order {order} names an axis beyond the {rank} there are"
    )
    layer.check(len(set(order)) == len(order), f"order {order} names an axis twice")
    return _transposed(g, x, [*order, *(axis for axis in range(rank) if axis not in order)])


@layer("Transpose", param="transpose_param", fork_field_numbers=(145, 147, 8266710), in_place=False)
def transpose(g: Graph, layer: BoundLayer, x: ir.Value) -> ir.Value:
    """Axes in the order of `dim`, which names each axis once (forks for text recognition)."""
    order, rank = list(layer.param.dim), len(dims(x))
    layer.check(sorted(order) == list(range(rank)), f"dim {order} must name each of the {rank} axes once")
    return _transposed(g, x, order)


def _transposed(g: Graph, x: ir.Value, order: Sequence[int]) -> ir.Value:
    if list(order) == list(range(len(order))):
        return x
    return g.node("Transpose", x, shape=[dims(x)[axis] for axis in order], perm=tuple(order))


@layer("Reverse", param="reverse_param", fork_field_numbers=(149, 160), in_place=False)
def reverse(g: Graph, layer: BoundLayer, x: ir.Value) -> ir.Value:
    """One axis reversed (forks for text recognition)."""
    return _reversed(g, x, [layer.axis(layer.param.axis, len(dims(x)))])


@layer(
    "Flip",
    param="flip_param",
    fork_field_numbers=(212,),
    fork_message_fields={212: {1: ("flip_width",), 2: ("flip_height",)}},
    in_place=False,
)
def flip(g: Graph, layer: BoundLayer, x: ir.Value) -> ir.Value:
    """The image mirrored in width, height or both (happynear's fork)."""
    p = layer.param
    image_axes(layer, x)
    if not (p.HasField("flip_width") and p.HasField("flip_height")):
        raise layer.unsupported("say both flip_width and flip_height: their defaults differ between forks")
    axes = [axis for axis, wanted in ((2, p.flip_height), (3, p.flip_width)) if wanted]
    return _reversed(g, x, axes) if axes else x


def _reversed(g: Graph, x: ir.Value, axes: Sequence[int]) -> ir.Value:
    count = len(axes)
    backwards = np.full(count, -1, np.int64)
    past_the_start = np.full(count, -(2**63), np.int64)
    return g.node("Slice", x, backwards, past_the_start, np.array(axes, np.int64), backwards)


@layer(
    "ReverseTime", param="reverse_time_param", fork_field_numbers=(161,), in_place=False, time_major_bottoms=1
)
def reverse_time(g: Graph, layer: BoundLayer, x: ir.Value, lengths: ir.Value) -> ir.Value:
    """The first `lengths[n]` steps of item n of (T, N, ...) reversed.

    The other steps are copied, or zeros without copy_remaining: Caffe leaves them as its memory was, which is
    zeros at the first run.
    """
    layer.check(len(dims(x)) >= 2, f"needs the axes time and item, the bottom is {shape_text(dims(x))}")
    layer.check(
        dims(lengths) == dims(x)[1:2],
        f"the lengths are {shape_text(dims(lengths))}, expected {shape_text(dims(x)[1:2])}",
    )
    whole = g.cast(lengths, ir.DataType.INT64)
    reversed_steps = g.node("ReverseSequence", x, whole, time_axis=0, batch_axis=1)
    if layer.param.copy_remaining:
        return reversed_steps
    layer.note(
        "without copy_remaining, the steps behind the length of an item are zeros; Caffe leaves there what "
        "its memory held, which is zeros only at the first run"
    )
    count = layer.static(dims(x)[0], "the number of steps")
    layer.check_computed(count)
    steps = np.arange(count).reshape(-1, 1)
    within = g.node("Less", g.constant(steps), whole, shape=dims(x)[:2], dtype=ir.DataType.BOOL)
    mask = g.reshape(within, (*dims(x)[:2], *(1,) * (len(dims(x)) - 2)))
    return g.node("Where", mask, reversed_steps, scalar(0), shape=dims(x), dtype=reversed_steps.dtype)


@layer(
    "ShuffleChannel",
    param="shuffle_channel_param",
    fork_field_numbers=(145, 164, 212, 213, 224),
    in_place=False,
)
def shuffle_channel(g: Graph, layer: BoundLayer, x: ir.Value) -> ir.Value:
    """Channels reordered: the first of each group, then the second of each, and so on (ShuffleNet)."""
    return _shuffled(g, layer, x)


@layer("ChannelShuffle", param="channel_shuffle_param", fork_field_numbers=(164,), in_place=False)
def channel_shuffle(g: Graph, layer: BoundLayer, x: ir.Value) -> ir.Value:
    """ShuffleChannel under another name."""
    return _shuffled(g, layer, x)


def _shuffled(g: Graph, layer: BoundLayer, x: ir.Value) -> ir.Value:
    group = layer.param.group
    n, c, h, w = image_axes(layer, x)
    channels = layer.static(c, "the number of channels")
    layer.check(group > 0 and channels % group == 0, f"group {group} does not divide the {channels} channels")
    if group in (1, channels):
        return x
    grouped = g.reshape(x, (n, group, channels // group, h, w))
    return g.reshape(_transposed(g, grouped, [0, 2, 1, 3, 4]), (n, channels, h, w))


@layer("Reorg", param="reorg_param", fork_field_numbers=(147, 149, 159), in_place=False)
def reorg(g: Graph, layer: BoundLayer, x: ir.Value) -> ir.Value:
    """Darknet's reorg: stride times smaller and stride^2 more channels, or with `reverse` the other way.

    As in Darknet, this is no plain space-to-depth. The memory of (C, H, W) is read as (C / stride^2, H *
    stride, W * stride); the pixels of each stride x stride block go to channels, with the offset in the block
    before the channel; the result is then read as (C * stride^2, H / stride, W / stride).
    """
    p = layer.param
    layer.check(p.HasField("stride") and p.stride > 0, "needs a positive stride")
    n, channels, height, width = fixed_image(layer, x)
    s = p.stride
    layer.check(channels % s**2 == 0, f"stride {s} squared does not divide the {channels} channels")
    if p.reverse:
        larger = (n, channels // s**2, height * s, width * s)
        return g.node("DepthToSpace", x, shape=larger, blocksize=s, mode="DCR")
    layer.check(height % s == width % s == 0, f"stride {s} does not divide the {height}x{width} image")
    read_as = g.reshape(x, (n, channels // s**2, height * s, width * s))
    packed = g.node("SpaceToDepth", read_as, shape=(n, channels, height, width), blocksize=s)
    return g.reshape(packed, (n, channels * s**2, height // s, width // s))


@layer("Tiling", param="tiling_param", in_place=False)
def tiling(g: Graph, layer: BoundLayer, x: ir.Value) -> ir.Value:
    """Each group of tile_dim^2 consecutive channels as one channel, tile_dim times as high and wide."""
    return channels_to_pixels(g, layer, x, layer.param.tile_dim)


_TOPK = 5


@layer("BatchReduction", param="batch_reduction_param", fork_field_numbers=(162,), in_place=False)
def batch_reduction(g: Graph, layer: BoundLayer, x: ir.Value) -> ir.Value:
    """Sum or mean over one axis, or over consecutive parts of it with level^2 entries each (TSN).

    TOPK is the mean of the k largest. With pos, the entries are the diagonal of two axes of equal size.
    """
    reduction = layer.param.reduction_param
    axis = layer.axis(reduction.axis, len(dims(x)))
    if layer.param.pos:
        layer.check(len(layer.param.level) <= 1, "pos needs a single level")
        x = _diagonal(g, layer, x, axis)
    if reduction.operation == _TOPK:
        return _mean_of_largest(g, layer, x, axis)
    if reduction.operation not in (SUM, MEAN):
        raise layer.unsupported("its fork implements SUM, MEAN and TOPK only")
    op = "ReduceMean" if reduction.operation == MEAN else "ReduceSum"
    rest, behind = dims(x)[:axis], dims(x)[axis + 1 :]
    along = np.array([axis], np.int64)
    levels = list(layer.param.level) or [1]
    if levels == [1]:
        return g.node(op, x, along, shape=(*rest, *behind), keepdims=0)
    parts = [level * level for level in levels]
    layer.check(
        dims(x)[axis] == sum(parts), f"levels {levels} cover {sum(parts)}, not {dims(x)[axis]} entries"
    )
    if len(parts) == 1:
        return g.node(op, x, along, shape=(*rest, 1, *behind))
    shapes = [(*rest, part, *behind) for part in parts]
    pieces = g.nodes("Split", x, np.array(parts, np.int64), shapes=shapes, axis=axis)
    reduced = [g.node(op, piece, along, shape=(*rest, 1, *behind)) for piece in pieces]
    return g.node("Concat", *reduced, shape=(*rest, len(parts), *behind), axis=axis)


def _diagonal(g: Graph, layer: BoundLayer, x: ir.Value, axis: int) -> ir.Value:
    """The entries with the same index along `axis` and the axis behind it, as one axis."""
    shape = dims(x)
    layer.check(len(shape) > axis + 1, f"pos reduces the axes {axis} and {axis + 1}; there are {len(shape)}")
    size = layer.static(shape[axis], "the size of the axis that it reduces")
    if shape[axis + 1] != size:
        raise layer.unsupported(
            f"pos needs two axes of equal size, they are {shape[axis]} and {shape[axis + 1]}"
        )
    behind = shape[axis + 2 :]
    flat = g.reshape(x, (*shape[:axis], size * size, *behind))
    places = np.arange(size, dtype=np.int64) * (size + 1)
    return g.node("Gather", flat, places, shape=(*shape[:axis], size, *behind), axis=axis)


def _mean_of_largest(g: Graph, layer: BoundLayer, x: ir.Value, axis: int) -> ir.Value:
    p, shape = layer.param, dims(x)
    count = p.reduction_param.k
    if p.pos or list(p.level) not in ([], [1]):
        raise layer.unsupported("TOPK with pos or with a level other than 1 is used by no public net")
    entries = layer.static(shape[axis], "the size of the axis that it reduces")
    layer.check(0 < count <= entries, f"k is {count}, and there are {entries} entries")
    largest, _ = g.nodes(
        "TopK",
        x,
        np.array([count], np.int64),
        shapes=[(*shape[:axis], count, *shape[axis + 1 :])] * 2,
        dtypes=[ir.DataType.FLOAT, ir.DataType.INT64],
        axis=axis,
    )
    reduced = (*shape[:axis], *shape[axis + 1 :])
    return g.node("ReduceMean", largest, np.array([axis], np.int64), shape=reduced, keepdims=0)


@layer(
    "ContinuationIndicator", param="continuation_indicator_param", fork_field_numbers=(201,), in_place=False
)
def continuation_indicator(g: Graph, layer: BoundLayer, x: ir.Value | None = None) -> ir.Value:
    """A constant (T, N): 0 at the first step and 1 after it (warpctc-caffe)."""
    p = layer.param
    layer.check(p.time_step > 0 and p.batch_size > 0, "needs a positive time_step and batch_size")
    layer.check_computed(p.time_step, p.batch_size)
    values = np.ones((p.time_step, p.batch_size), np.float32)
    values[0] = 0
    return g.parameter("indicator", values)
