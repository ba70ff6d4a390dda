"""Pooling over regions of interest: rows (image, x1, y1, x2, y2) in pixels of the network's input."""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir

from converters.from_caffe.bound_layer import BoundLayer
from converters.from_caffe.layers.checks import fixed_image, image_axes
from converters.from_caffe.layers.registry import layer
from converters.graph import Graph, scalar
from converters.graph_bounds import check_computed
from converters.sizes import dims, product, shape_text

# PSROIPooling's smallest region, in pixels of the feature map.
_LEAST_SIZE = 0.1


@layer(
    "ROIPooling",
    param="roi_pooling_param",
    fork_field_numbers=(147, 150, 154, 204, 208, 212, 1201, 2201, 8266711),
    in_place=False,
)
def roi_pooling(g: Graph, layer: BoundLayer, x: ir.Value, rois: ir.Value) -> ir.Value:
    """The maximum of each bin of each region; the corners are first rounded to pixels (Fast R-CNN)."""
    p = layer.param
    layer.check(p.pooled_h > 0 and p.pooled_w > 0, "pooled_h and pooled_w must be positive")
    regions = _regions(g, layer, x, rois)
    return g.node(
        "MaxRoiPool",
        x,
        regions,
        shape=(dims(regions)[0], dims(x)[1], p.pooled_h, p.pooled_w),
        pooled_shape=(p.pooled_h, p.pooled_w),
        spatial_scale=p.spatial_scale,
    )


@layer(
    "PSROIPooling",
    param="psroi_pooling_param",
    fork_field_numbers=(149, 153, 207, 220, 10001, 10002),
    in_place=False,
)
def psroi_pooling(g: Graph, layer: BoundLayer, x: ir.Value, rois: ir.Value) -> ir.Value:
    """The mean of each bin of each region; every bin of every output has its own channel (R-FCN).

    The sum over a bin is computed from four sums, each of all pixels above and left of one of its corners, in
    double precision. A bin that covers no pixel gives 0.
    """
    p = layer.param
    bins, outputs = p.group_size, p.output_dim
    layer.check(outputs > 0 and bins > 0 and p.spatial_scale > 0, "its parameters must be positive")
    regions = _regions(g, layer, x, rois)
    _, channels, height, width = fixed_image(layer, x)
    layer.check(
        channels == outputs * bins**2,
        f"output_dim {outputs} and group_size {bins} need {outputs * bins**2} channels, there are {channels}",
    )
    rows = _bins(g, regions, (2, 4), (1, bins, 1), p.spatial_scale, height)
    columns = _bins(g, regions, (1, 3), (1, 1, bins), p.spatial_scale, width)
    shape = (dims(regions)[0], outputs, bins, bins)
    image = g.cast(_column(g, regions, 0), ir.DataType.INT64)
    layer.check_computed(channels)
    of_bin = np.arange(channels).reshape(1, outputs, bins, bins)
    plane = g.node("Add", g.node("Mul", image, _whole(channels)), of_bin, shape=shape)
    sums = _sums(g, x, height, width)
    corners = [_corner(g, sums, plane, row, column, (height, width)) for row in rows for column in columns]
    total = g.node("Sub", g.node("Add", corners[0], corners[3]), g.node("Add", corners[1], corners[2]))
    area = g.node(
        "Mul",
        g.node("Sub", rows[1], rows[0]),
        g.node("Sub", columns[1], columns[0]),
        shape=(shape[0], 1, bins, bins),
    )
    pixels = g.cast(g.node("Max", area, _whole(1)), ir.DataType.DOUBLE)
    mean = g.node("Div", total, pixels)
    # A bin without pixels has equal corners, so its total is 0 already.
    return g.cast(mean, ir.DataType.FLOAT)


def _regions(g: Graph, layer: BoundLayer, x: ir.Value, rois: ir.Value) -> ir.Value:
    image_axes(layer, x)
    size = product(dims(rois)[1:])
    layer.check(size == 5, f"the regions must be rows of 5, they are {shape_text(dims(rois))}")
    return g.reshape(rois, (dims(rois)[0], 5))


def _bins(
    g: Graph, regions: ir.Value, ends: tuple[int, int], grid: tuple[int, ...], scale: float, size: int
) -> tuple[ir.Value, ir.Value]:
    """int64 (first pixel, past the last) of every bin along one axis, as (R, *grid)."""
    first, last = (_rounded(g, _column(g, regions, column)) for column in ends)
    start = g.node("Mul", first, scalar(scale))
    end = g.node("Mul", g.node("Add", last, scalar(1)), scalar(scale))
    extent = g.node("Max", g.node("Sub", end, start), scalar(_LEAST_SIZE))
    count = math.prod(grid)
    check_computed(count)
    one_bin = g.node("Div", extent, scalar(count))
    shape = (dims(regions)[0], *grid)
    limits = []
    for op, number in (("Floor", np.arange(count)), ("Ceil", np.arange(1, count + 1))):
        from_start = g.node("Mul", one_bin, number.astype(np.float32).reshape(1, *grid), shape=shape)
        pixel = g.node(op, g.node("Add", from_start, start))
        inside = g.node("Clip", pixel, scalar(0), scalar(size))
        limits.append(g.cast(inside, ir.DataType.INT64))
    return limits[0], limits[1]


def _rounded(g: Graph, x: ir.Value) -> ir.Value:
    """To whole numbers, halves away from zero (ONNX's Round takes them to even ones)."""
    magnitude = g.node("Abs", x)
    whole = g.node("Floor", magnitude)
    half = g.node("GreaterOrEqual", g.node("Sub", magnitude, whole), scalar(0.5), dtype=ir.DataType.BOOL)
    up = g.cast(half, ir.DataType.FLOAT)
    return g.node("Mul", g.node("Sign", x), g.node("Add", whole, up))


def _column(g: Graph, regions: ir.Value, index: int) -> ir.Value:
    """One column of the regions as (R, 1, 1, 1)."""
    column = g.node("Gather", regions, np.array([index], np.int64), shape=(dims(regions)[0], 1), axis=1)
    return g.reshape(column, (dims(regions)[0], 1, 1, 1))


def _sums(g: Graph, x: ir.Value, height: int, width: int) -> ir.Value:
    """The sums of each plane above and left of every pixel corner, flattened, in double precision."""
    exact = g.cast(x, ir.DataType.DOUBLE)
    shape = (*dims(x)[:2], height + 1, width + 1)
    bordered = g.node("Pad", exact, np.array([0, 0, 1, 1, 0, 0, 0, 0], np.int64), shape=shape)
    summed = g.node("CumSum", g.node("CumSum", bordered, _whole(2)), _whole(3))
    return g.reshape(summed, (product(shape),))


def _corner(
    g: Graph, sums: ir.Value, plane: ir.Value, row: ir.Value, column: ir.Value, size: tuple[int, int]
) -> ir.Value:
    line = g.node("Add", g.node("Mul", plane, _whole(size[0] + 1)), row)
    place = g.node("Add", g.node("Mul", line, _whole(size[1] + 1)), column)
    return g.node("Gather", sums, place, shape=dims(plane), axis=0)


def _whole(value: int) -> np.ndarray:
    return np.array(value, np.int64)
