"""FlowNet's layers: comparing two images, and warping an image by a flow field."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from converters.from_caffe.bound_layer import BoundLayer
from converters.from_caffe.layers.registry import layer
from converters.from_caffe.layers.runtime_shapes import shape_tensor
from converters.graph import Graph, scalar
from converters.graph_bounds import MAX_CONSTANT_ELEMENTS
from converters.sizes import Dim, dims, shape_text

_SUBTRACT = 1
_ZERO = 1


@layer("Correlation", param="correlation_param", fork_field_numbers=(150, 219), in_place=False)
def correlation(g: Graph, layer: BoundLayer, first: ir.Value, second: ir.Value) -> ir.Value:
    """The mean product (or absolute difference) of patches of one image and displaced patches of the other.

    The top has one channel for each displacement up to max_displacement in steps of stride_2, row by row, and
    one pixel for each patch in steps of stride_1. do_abs changes nothing, as in Caffe.
    """
    p = layer.param
    reach = p.max_displacement // max(p.stride_2, 1)
    steps = range(-reach, reach + 1)
    return _correlated(g, layer, first, second, (p.pad, p.pad), p.max_displacement, steps, steps)


@layer("Correlation1D", param="correlation_param", fork_field_numbers=(150, 219), in_place=False)
def correlation_1d(g: Graph, layer: BoundLayer, first: ir.Value, second: ir.Value) -> ir.Value:
    """Correlation with displacements along the width only; with single_direction, only to one side.

    To the left, displacements go one step beyond max_displacement. Where a step leaves the padded image,
    Caffe reads the end of the row above, which is padding too; above the first row, what it reads is
    undefined.
    """
    p = layer.param
    layer.check(p.single_direction in (-1, 0, 1), "single_direction must be -1, 0 or 1")
    reach = p.max_displacement // max(p.stride_2, 1)
    steps = range(-reach, reach + 1)
    if p.single_direction:
        steps = range(reach + 1) if p.single_direction > 0 else range(-reach - 1, 0)
    return _correlated(g, layer, first, second, (0, p.pad), 0, range(1), steps)


@dataclass(frozen=True)
class _PatchRange:
    """The patches along one axis: the start of the first in the padded image, their extent and number."""

    start: int
    extent: int
    count: int


def _patch_range(layer: BoundLayer, size: int, pad: int, displacement: int) -> _PatchRange:
    p = layer.param
    room = size + 2 * pad - 2 * displacement - (p.kernel_size - 1)
    layer.check(
        room >= 1, f"kernel {p.kernel_size} and displacement {displacement} do not fit into {size} pixels"
    )
    count = -(-room // p.stride_1)
    return _PatchRange(displacement, (count - 1) * p.stride_1 + p.kernel_size, count)


def _correlated(
    g: Graph,
    layer: BoundLayer,
    first: ir.Value,
    second: ir.Value,
    pads: tuple[int, int],
    displacement_of_rows: int,
    row_steps: range,
    column_steps: range,
) -> ir.Value:
    p = layer.param
    _check_correlation(layer)
    n, channels, height, width = _pair(layer, first, second)
    rows = _patch_range(layer, height, pads[0], displacement_of_rows)
    columns = _patch_range(layer, width, pads[1], p.max_displacement)
    total = len(row_steps) * len(column_steps)
    if total * rows.extent * columns.extent > MAX_CONSTANT_ELEMENTS:
        raise layer.unsupported(
            f"its {total:,} displacements of {rows.extent}x{columns.extent} pixels are more than the "
            f"{MAX_CONSTANT_ELEMENTS:,} values that are compared at most"
        )
    beyond = max(0, -(columns.start + column_steps[0] * p.stride_2))
    if beyond > pads[1]:
        raise layer.unsupported("with these displacements to the left, Caffe reads pixels of the row above")
    first, second = _padded(g, first, *pads), _padded(g, second, *pads, beyond)
    patch = _slice(g, _slice(g, first, 2, rows.start, rows.extent), 3, columns.start, columns.extent)
    patch = g.reshape(patch, (n, channels, rows.extent, 1, columns.extent))
    steps = np.array(column_steps)[:, None] * p.stride_2
    layer.check_computed(len(column_steps), columns.extent)
    places = columns.start + beyond + np.arange(columns.extent) + steps
    operator = "Sub" if p.correlation_type == _SUBTRACT else "Mul"
    maps = []
    for step in row_steps:
        band = _slice(g, second, 2, rows.start + step * p.stride_2, rows.extent)
        shape = (n, channels, rows.extent, *places.shape)
        displaced = g.node("Gather", band, places.astype(np.int64), shape=shape, axis=3)
        product = g.node(operator, displaced, patch)
        product = g.node("Abs", product) if operator == "Sub" else product
        mean = g.node("ReduceMean", product, np.array([1], np.int64), shape=(n, *shape[2:]), keepdims=0)
        maps.append(
            g.node("Transpose", mean, shape=(n, len(places), rows.extent, columns.extent), perm=(0, 2, 1, 3))
        )
    joined = g.node("Concat", *maps, shape=(n, total, rows.extent, columns.extent), axis=1)
    if p.kernel_size == p.stride_1 == 1:
        return joined
    return g.node(
        "AveragePool",
        joined,
        shape=(n, total, rows.count, columns.count),
        kernel_shape=(p.kernel_size,) * 2,
        strides=(p.stride_1,) * 2,
    )


def _check_correlation(layer: BoundLayer) -> None:
    p = layer.param
    layer.check(
        p.HasField("kernel_size") and p.HasField("max_displacement"), "needs kernel_size and max_displacement"
    )
    layer.check(p.kernel_size % 2 == 1, f"kernel_size must be odd, it is {p.kernel_size}")
    layer.check(p.stride_1 > 0 and p.stride_2 > 0, "stride_1 and stride_2 must be positive")


def _pair(layer: BoundLayer, first: ir.Value, second: ir.Value) -> tuple[Dim, int, int, int]:
    layer.check(
        len(dims(first)) == 4 and dims(first) == dims(second),
        f"takes two images of one size, they are {shape_text(dims(first))} and {shape_text(dims(second))}",
    )
    channels, height, width = (
        layer.static(size, "the channels, height and width") for size in dims(first)[1:]
    )
    return dims(first)[0], channels, height, width


def _padded(g: Graph, x: ir.Value, rows: int, columns: int, left: int = 0) -> ir.Value:
    """Zeros around the image, and `left` more columns before it."""
    if not (rows or columns or left):
        return x
    n, c, height, width = dims(x)
    assert isinstance(height, int)
    assert isinstance(width, int)
    pads = np.array([0, 0, rows, columns + left, 0, 0, rows, columns], np.int64)
    return g.node("Pad", x, pads, shape=(n, c, height + 2 * rows, width + 2 * columns + left))


def _slice(g: Graph, x: ir.Value, axis: int, start: int, extent: int) -> ir.Value:
    if start == 0 and dims(x)[axis] == extent:
        return x
    shape = (*dims(x)[:axis], extent, *dims(x)[axis + 1 :])
    begin, end, along = (np.array([k], np.int64) for k in (start, start + extent, axis))
    return g.node("Slice", x, begin, end, along, shape=shape)


@layer("FlowWarp", param="flow_warp_param", fork_field_numbers=(159, 221), in_place=False)
def flow_warp(g: Graph, layer: BoundLayer, image: ir.Value, flow: ir.Value) -> ir.Value:
    """Each pixel from the place to which its flow (x, y) points, bilinear; outside the image 0 or NaN."""
    layer.check(
        len(dims(image)) == 4 and dims(flow) == (dims(image)[0], 2, *dims(image)[2:]),
        f"an image {shape_text(dims(image))} needs a flow of two channels, it is {shape_text(dims(flow))}",
    )
    n, channels, *size = dims(image)
    height, width = (layer.static(pixels, "the height and width") for pixels in size)
    x, y = _targets(g, layer, flow, height, width)
    within = [_within(g, x, width), _within(g, y, height)]
    inside = g.node("And", *within)
    left, right, weight_x = _neighbours(g, g.node("Where", inside, x, scalar(0), dtype=x.dtype), width)
    above, below, weight_y = _neighbours(g, g.node("Where", inside, y, scalar(0), dtype=y.dtype), height)
    plane = (n, channels, height * width)
    flat = g.reshape(image, plane)

    def pixels(row: ir.Value, column: ir.Value) -> ir.Value:
        place = g.node("Add", g.node("Mul", row, np.array(width, np.int64)), column)
        place = g.reshape(place, (n, 1, height * width))
        everywhere = g.node("Expand", place, shape_tensor(g, flow, plane), shape=plane)
        found = g.node("GatherElements", flat, everywhere, axis=2)
        return g.reshape(found, (n, channels, height, width))

    upper = _interpolated(g, pixels(above, left), pixels(above, right), weight_x)
    lower = _interpolated(g, pixels(below, left), pixels(below, right), weight_x)
    outside = 0.0 if layer.param.fill_value == _ZERO else float("nan")
    warped = _interpolated(g, upper, lower, weight_y)
    return g.node("Where", inside, warped, scalar(outside), shape=dims(warped), dtype=warped.dtype)


def _targets(
    g: Graph, layer: BoundLayer, flow: ir.Value, height: int, width: int
) -> tuple[ir.Value, ir.Value]:
    """(x, y) that every pixel's flow points to, each (N, 1, H, W)."""
    n = dims(flow)[0]
    shapes = [(n, 1, height, width)] * 2
    dx, dy = g.nodes("Split", flow, np.array([1, 1], np.int64), shapes=shapes, axis=1)
    layer.check_computed(height)
    layer.check_computed(width)
    columns = np.arange(width, dtype=np.float32)
    rows = np.arange(height, dtype=np.float32)[:, None]
    return g.node("Add", dx, columns), g.node("Add", dy, rows)


def _within(g: Graph, x: ir.Value, size: int) -> ir.Value:
    from_start = g.node("GreaterOrEqual", x, scalar(0), dtype=ir.DataType.BOOL)
    return g.node("And", from_start, g.node("Less", x, scalar(size), dtype=ir.DataType.BOOL))


def _neighbours(g: Graph, x: ir.Value, size: int) -> tuple[ir.Value, ir.Value, ir.Value]:
    """(the pixel before x, the pixel after it, the distance from the first), both within the image."""
    x = g.node("Min", x, scalar(size - 1))
    before = g.node("Floor", x)
    after = g.node("Min", g.node("Add", before, scalar(1)), scalar(size - 1))
    first, second = (g.cast(place, ir.DataType.INT64) for place in (before, after))
    return first, second, g.node("Sub", x, before)


def _interpolated(g: Graph, first: ir.Value, second: ir.Value, weight: ir.Value) -> ir.Value:
    """(1 - weight) * first + weight * second."""
    rest = g.node("Sub", g.constant(scalar(1)), weight, shape=dims(weight))
    return g.node("Add", g.node("Mul", first, rest), g.node("Mul", second, weight))
