"""Pooling, by Caffe's own rules for sizes, borders and divisors.

The output has ceil((H + 2 pad - kernel) / stride) + 1 rows; only where there is padding, on whichever axis, a
last window that would start at or past H + pad is dropped. A window may reach beyond the end: MAX ignores
what is outside, AVE divides by the part of the window inside [-pad, H + pad), so padding counts and what lies
beyond it does not. In ONNX both become explicit end pads without ceil_mode, which every runtime computes
alike; `converters.pooling_rule` makes them right for images of other sizes too.

A stride beyond the kernel and no padding may leave a last window that starts outside the image: it holds
-FLT_MAX (found at -1) or, for AVE, 0 divided by its negative or empty size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir

from converters.from_caffe.bound_layer import BoundLayer
from converters.from_caffe.layers.checks import image_axes
from converters.from_caffe.layers.limits import FLT_MAX
from converters.from_caffe.layers.registry import layer
from converters.graph import Graph
from converters.graph_bounds import check_computed
from converters.pooling_rule import mark_ceil_pooling
from converters.sizes import Dim, Symbol, dims, product

MAX, AVE, STOCHASTIC = range(3)
_FLOOR = 1


@dataclass(frozen=True)
class PooledAxis:
    """One pooled axis.

    size: the number of windows that start inside the input.
    end: how far the last of them reaches beyond the padded input; None where the input size is symbolic, and
        ONNX's ceil_mode computes it at run time.
    outside: where Caffe has one more window, which starts outside the input: its size, which is 0 or less.
    ceil: whether the number of windows is rounded up.
    """

    size: Dim
    kernel: int
    stride: int
    pad: int
    end: int | None
    outside: int | None = None
    ceil: bool = True


@layer("Pooling", param="pooling_param", in_place=False, tops=(1, 2))
def pooling(g: Graph, layer: BoundLayer, x: ir.Value) -> ir.Value | list[ir.Value]:
    """MAX or AVE pooling; the optional second top of MAX is where each maximum was found."""
    p = layer.param
    shape = image_axes(layer, x)
    layer.check(p.pool != STOCHASTIC, "STOCHASTIC pooling is not implemented in Caffe's own inference")
    layer.check(layer.top_count == 1 or p.pool == MAX, "only MAX pooling has a second top")
    if p.global_pooling and layer.top_count == 1:
        _check_global(layer)
        op = "GlobalMaxPool" if p.pool == MAX else "GlobalAveragePool"
        return g.node(op, x, shape=(*shape[:2], 1, 1))
    height, width = pooled_axes(layer, shape[2], shape[3])
    if p.pool == AVE:
        means = average_pool(g, x, height, width, count_padding=p.avg_include_pad)
        return _with_means_outside(g, means, height, width)
    if layer.top_count == 1:
        return _with_windows_outside(g, max_pool(g, x, height, width), height, width, -FLT_MAX)
    y, places = max_pool_with_places(g, layer, x, height, width)
    return [
        _with_windows_outside(g, y, height, width, -FLT_MAX),
        _with_windows_outside(g, places, height, width, -1),
    ]


def _with_windows_outside(
    g: Graph, y: ir.Value, height: PooledAxis, width: PooledAxis, value: float
) -> ir.Value:
    """y with this value for the windows that start outside the image."""
    shape, ends = list(dims(y)), [0, 0, 0, 0]
    for position, axis in ((2, height), (3, width)):
        if axis.outside is not None:
            ends[position] = 1
            shape[position] = _length(y, position) + 1
    if not any(ends):
        return y
    return g.node("Pad", y, np.array([0, 0, 0, 0, *ends], np.int64), np.array(value, np.float32), shape=shape)


def _with_means_outside(g: Graph, means: ir.Value, height: PooledAxis, width: PooledAxis) -> ir.Value:
    y = _with_windows_outside(g, means, height, width, 0)
    for position, axis in ((2, height), (3, width)):
        if axis.outside == 0:
            check_computed(_length(y, position))
            undefined = np.zeros(_length(y, position), np.float32)
            undefined[-1] = np.nan
            along = undefined.reshape((-1, 1) if position == 2 else (1, -1))
            y = g.node("Add", y, g.parameter("empty_windows", along))
    return y


def _length(y: ir.Value, position: int) -> int:
    size = dims(y)[position]
    assert isinstance(size, int)
    return size


@layer("SPP", param="spp_param", in_place=False)
def spp(g: Graph, layer: BoundLayer, x: ir.Value) -> ir.Value:
    """Poolings into 1, 2, 4, ... bins a side, flattened and joined; one level alone stays 4-D."""
    p = layer.param
    image_axes(layer, x)
    layer.check(p.pool != STOCHASTIC, "STOCHASTIC pooling is not implemented in Caffe's own inference")
    layer.check(p.pyramid_height > 0, "pyramid_height must be positive")
    levels = [_pyramid_level(g, layer, x, 2**level) for level in range(p.pyramid_height)]
    if len(levels) == 1:
        return levels[0]
    flat = [g.node("Flatten", y, shape=(dims(y)[0], product(dims(y)[1:])), axis=1) for y in levels]
    return g.node("Concat", *flat, shape=(dims(x)[0], layer.sum_of_sizes(dims(y)[1] for y in flat)), axis=1)


def _pyramid_level(g: Graph, layer: BoundLayer, x: ir.Value, bins: int) -> ir.Value:
    sizes = [layer.static(size, "the input size") for size in dims(x)[2:]]
    kernels = [-(-size // bins) for size in sizes]
    pads = [(kernel * bins - size + 1) // 2 for size, kernel in zip(sizes, kernels, strict=True)]
    height, width = (
        _axis(layer, size, kernel, kernel, pad, padded=any(pads))
        for size, kernel, pad in zip(sizes, kernels, pads, strict=True)
    )
    if layer.param.pool == AVE:
        return average_pool(g, x, height, width)
    return max_pool(g, x, height, width)


def pooled_axes(layer: BoundLayer, height: Dim, width: Dim) -> tuple[PooledAxis, PooledAxis]:
    """The two axes of a Pooling layer, with Caffe's checks of its parameters."""
    p = layer.param
    if p.global_pooling:
        _check_global(layer)
        sizes = [layer.static(size, "the size under global pooling") for size in (height, width)]
        return _axis(layer, sizes[0], sizes[0], 1, 0), _axis(layer, sizes[1], sizes[1], 1, 0)
    by_name = p.HasField("kernel_h") and p.HasField("kernel_w")
    layer.check(
        p.HasField("kernel_size") != by_name, "give either kernel_size, or both kernel_h and kernel_w"
    )
    kernel = (p.kernel_h, p.kernel_w) if by_name else (p.kernel_size, p.kernel_size)
    stride = (p.stride_h, p.stride_w) if p.HasField("stride_h") else (p.stride, p.stride)
    pad = (p.pad_h, p.pad_w) if p.HasField("pad_h") else (p.pad, p.pad)
    for what in ("stride", "pad"):
        both = p.HasField(f"{what}_h"), p.HasField(f"{what}_w")
        layer.check(
            both[0] == both[1] and not (both[0] and p.HasField(what)),
            f"give either {what}, or both {what}_h and {what}_w",
        )
    # Three names of one switch: round_mode is BVLC's, torch_pooling NVCaffe's, ceil_mode that of other forks.
    floor = p.round_mode == _FLOOR or p.torch_pooling or not p.ceil_mode
    return (
        _axis(layer, height, kernel[0], stride[0], pad[0], padded=any(pad), floor=floor, name="h"),
        _axis(layer, width, kernel[1], stride[1], pad[1], padded=any(pad), floor=floor, name="w"),
    )


def _check_global(layer: BoundLayer) -> None:
    p = layer.param
    layer.check(
        not (p.HasField("kernel_size") or p.HasField("kernel_h") or p.HasField("kernel_w")),
        "global_pooling takes its kernel from the bottom; give none",
    )
    layer.check(
        p.pad_h == p.pad_w == p.pad == 0 and {p.stride, p.stride_h or 1, p.stride_w or 1} == {1},
        "global_pooling allows only pad 0 and stride 1",
    )


def _axis(
    layer: BoundLayer,
    size: Dim,
    kernel: int,
    stride: int,
    pad: int,
    *,
    padded: bool = False,
    floor: bool = False,
    name: str = "",
) -> PooledAxis:
    """One axis. `padded`: whether either axis has padding, for which Caffe may drop a window on both."""
    layer.check(kernel > 0, "kernel sizes must not be zero")
    layer.check(stride > 0, "strides must not be zero")
    layer.check(pad == 0 or pad < kernel, f"pad {pad} must be less than the kernel {kernel}")
    if isinstance(size, Symbol):
        if stride == 1 and 2 * pad == kernel - 1:
            return PooledAxis(size, kernel, stride, pad, 0)
        if floor:
            return PooledAxis(layer.window_count(size, name), kernel, stride, pad, 0, ceil=False)
        layer.static(
            size if stride > kernel and not padded else 1, "the input size, with a stride beyond the kernel,"
        )
        return PooledAxis(layer.window_count(size, name), kernel, stride, pad, None)
    span = size + 2 * pad - kernel
    pooled = span // stride + 1 if floor else -(-span // stride) + 1
    layer.check(
        pooled > 0, f"the kernel {kernel} leaves no output of the padded input of size {size + 2 * pad}"
    )
    if padded and (pooled - 1) * stride >= size + pad:
        pooled -= 1
    outside = None
    if (pooled - 1) * stride >= size + pad:
        pooled -= 1
        outside = size - pooled * stride
    end = max(0, (pooled - 1) * stride - span)
    return PooledAxis(pooled, kernel, stride, pad, end, outside, ceil=not floor)


def max_pool(g: Graph, x: ir.Value, height: PooledAxis, width: PooledAxis) -> ir.Value:
    """MAX over the part of each window inside the image."""
    y = g.node("MaxPool", x, shape=(*dims(x)[:2], height.size, width.size), **_max_attributes(height, width))
    return _marked(y, height, width)


def max_pool_with_places(
    g: Graph, layer: BoundLayer, x: ir.Value, height: PooledAxis, width: PooledAxis
) -> list[ir.Value]:
    """MAX, and where in its channel's plane each maximum was found (as floats; of equals, the first)."""
    shape = (*dims(x)[:2], height.size, width.size)
    y, place = g.nodes(
        "MaxPool",
        x,
        shapes=[shape, shape],
        dtypes=[ir.DataType.FLOAT, ir.DataType.INT64],
        **_max_attributes(height, width),
    )
    _marked(y, height, width)
    # ONNX counts places over the whole tensor, Caffe within one plane.
    plane = layer.static(dims(x)[2], "the height") * layer.static(dims(x)[3], "the width")
    within = g.node("Mod", place, np.array(plane, np.int64))
    return [y, g.cast(within, ir.DataType.FLOAT)]


def _marked(y: ir.Value, height: PooledAxis, width: PooledAxis, *, counts_padding: bool = False) -> ir.Value:
    """y, with the rule for its number of windows where that is rounded up and none lies outside."""
    if height.ceil and width.ceil and height.outside is None and width.outside is None:
        extents, strides = (height.kernel, width.kernel), (height.stride, width.stride)
        mark_ceil_pooling(y, extents, strides, (height.pad, width.pad), counts_padding=counts_padding)
    return y


def _max_attributes(height: PooledAxis, width: PooledAxis) -> dict[str, Any]:
    return {
        "kernel_shape": (height.kernel, width.kernel),
        "strides": (height.stride, width.stride),
        **_end_pads(height, width, begin=True),
    }


def average_pool(
    g: Graph, x: ir.Value, height: PooledAxis, width: PooledAxis, *, count_padding: bool = True
) -> ir.Value:
    """AVE over the part of each window inside the padded image, or (Intel's switch) inside the image."""
    shape = (*dims(x)[:2], height.size, width.size)
    attributes: dict[str, Any] = {
        "kernel_shape": (height.kernel, width.kernel),
        "strides": (height.stride, width.stride),
    }
    if not count_padding:
        y = g.node("AveragePool", x, shape=shape, **_end_pads(height, width, begin=True), **attributes)
        return _marked(y, height, width)
    padded = height.pad or width.pad
    if padded and height.end == width.end == 0:
        pads = (height.pad, width.pad) * 2
        y = g.node("AveragePool", x, shape=shape, pads=pads, count_include_pad=1, **attributes)
    else:
        x = zero_pad(g, x, height.pad, width.pad) if padded else x
        y = g.node("AveragePool", x, shape=shape, **_end_pads(height, width, begin=False), **attributes)
    return _marked(y, height, width, counts_padding=True)


def zero_pad(g: Graph, x: ir.Value, height: int, width: int) -> ir.Value:
    """Zeros around the last two axes."""
    n, c, h, w = dims(x)
    padded = (
        n,
        c,
        h if isinstance(h, Symbol) else h + 2 * height,
        w if isinstance(w, Symbol) else w + 2 * width,
    )
    return g.node("Pad", x, np.array([0, 0, height, width] * 2, np.int64), shape=padded)


def _end_pads(height: PooledAxis, width: PooledAxis, *, begin: bool) -> dict[str, Any]:
    """The pads attribute (or ceil_mode), with the padding of the layer included if `begin`."""
    start = (height.pad, width.pad) if begin else (0, 0)
    if height.end is None or width.end is None:
        return {"pads": start * 2 if any(start) else None, "ceil_mode": 1}
    pads = (*start, start[0] + height.end, start[1] + width.end)
    return {"pads": pads if any(pads) else None}
