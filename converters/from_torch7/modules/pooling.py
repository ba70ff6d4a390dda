"""Max, average and power pooling.

Where sizes are known, ceil mode becomes explicit padding at the end: every runtime computes this correctly,
while some compute ONNX's ceil_mode wrongly (ONNX Runtime before 1.17).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from converters.errors import FormatError
from converters.from_torch7.backward_shape_inference import batch_first
from converters.from_torch7.builder import Builder
from converters.from_torch7.module import Module
from converters.from_torch7.modules.checks import check_channels, expected_frames, expected_maps
from converters.from_torch7.modules.reduction import reduce
from converters.from_torch7.modules.windows import Window, is_static, output_sizes, overhangs, pooling_window
from converters.from_torch7.registry import module
from converters.pooling_rule import mark_ceil_pooling
from converters.sizes import dims, shape_text


def pool(
    g: Builder,
    m: Module,
    x: ir.Value,
    op_type: str,
    windows: Sequence[Window],
    include_pad: int | None = None,
) -> ir.Value:
    """MaxPool or AveragePool over the dimensions after batch and channels."""
    sizes = dims(x)[2:]
    ceil = any(window.ceil for window in windows)
    by_mode = ceil and not is_static(sizes) and all(w.pad or w.stride <= w.extent for w in windows)
    ends = overhangs(m, sizes, windows) if ceil and not by_mode else [0] * len(windows)
    shape = (*dims(x)[:2], *output_sizes(g, m, sizes, windows))
    pads = [(w.pad, w.pad + end) for w, end in zip(windows, ends, strict=True)]
    too_wide = any(end >= w.kernel for w, (_, end) in zip(windows, pads, strict=True))
    if too_wide:
        # ONNX Runtime refuses padding as wide as the kernel, which a dilated window can need.
        x = g.pad(x, [(0, 0), (0, 0), *pads], value=-math.inf)
        pads = [(0, 0)] * len(windows)
    result = g.node(
        op_type,
        x,
        shape=shape,
        kernel_shape=[window.kernel for window in windows],
        strides=[window.stride for window in windows],
        pads=[begin for begin, _ in pads] + [end for _, end in pads],
        dilations=[w.dilation for w in windows] if any(w.dilation > 1 for w in windows) else None,
        ceil_mode=1 if by_mode else None,
        count_include_pad=include_pad,
    )
    return result if too_wide else marked(result, windows)


def marked(y: ir.Value, windows: Sequence[Window], *, counts_padding: bool = False) -> ir.Value:
    """The result of a pooling, with the rule for its number of windows where that is rounded up."""
    if all(window.ceil for window in windows):
        extents, strides = [w.extent for w in windows], [w.stride for w in windows]
        mark_ceil_pooling(y, extents, strides, [w.pad for w in windows], counts_padding=counts_padding)
    return y


def average_pool(
    g: Builder, m: Module, x: ir.Value, windows: Sequence[Window], include_pad: bool
) -> ir.Value:
    """Means over windows; `include_pad` counts the padding in the divisor, but never the overhang."""
    sizes = dims(x)[2:]
    if not include_pad or not any(window.pad for window in windows):
        return pool(g, m, x, "AveragePool", windows, 0)
    ends = overhangs(m, sizes, windows) if any(window.ceil for window in windows) else []
    if not any(ends):
        return marked(pool(g, m, x, "AveragePool", windows, 1), windows, counts_padding=True)
    # Padding first makes the padding part of the image, so that only the overhang is not counted.
    result = g.node(
        "AveragePool",
        g.pad(x, [(0, 0), (0, 0), *((window.pad, window.pad) for window in windows)]),
        shape=(*dims(x)[:2], *output_sizes(g, m, sizes, windows)),
        kernel_shape=[window.kernel for window in windows],
        strides=[window.stride for window in windows],
        pads=[0] * len(ends) + ends,
        count_include_pad=0,
    )
    return marked(result, windows, counts_padding=True)


@module(
    "SpatialMaxPooling",
    "SpatialDilatedMaxPooling",
    name="maxpool",
    rank=4,
    expects=batch_first(None, None, None),
)
def spatial_max_pooling(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """The largest of each window; padding is never the largest."""
    return pool(g, m, x, "MaxPool", [pooling_window(m, side) for side in "HW"])


@module(
    "VolumetricMaxPooling",
    "VolumetricDilatedMaxPooling",
    name="maxpool",
    rank=5,
    expects=batch_first(None, None, None, None),
)
def volumetric_max_pooling(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """The largest of each window over time, height and width."""
    return pool(g, m, x, "MaxPool", [pooling_window(m, side) for side in "THW"])


@module("SpatialAveragePooling", name="avgpool", rank=4, expects=batch_first(None, None, None))
def spatial_average_pooling(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """The mean of each window; its sum without the field `divide`, as in old files.

    Files without `ceil_mode` come from before padding, when every pixel counted.
    """
    windows = [pooling_window(m, side) for side in "HW"]
    means = average_pool(g, m, x, windows, m.flag("count_include_pad", default=not m.has("ceil_mode")))
    # Lua multiplies by the fields themselves, whose fractions only the pooling in C cuts off.
    return means if m.flag("divide") else g.binary("Mul", means, m.number("kW") * m.number("kH"))


@module("cudnn.SpatialAveragePooling", name="avgpool", rank=4, expects=batch_first(None, None, None))
def cudnn_average_pooling(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """The mean of each window; padding counts unless count_include_pad is false."""
    if m.get("divide") is False:
        raise m.unsupported("cudnn has no pooling that sums (field 'divide' is false)")
    windows = [pooling_window(m, side) for side in "HW"]
    return average_pool(g, m, x, windows, m.flag("count_include_pad", default=True))


def window_elements(windows: Sequence[Window]) -> int:
    """The number of elements of a window."""
    return math.prod(window.kernel for window in windows)


@module("inn.SpatialMaxPooling", name="maxpool", rank=4, expects=batch_first(None, None, None))
def inn_max_pooling(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """The largest of each window, in ceil mode as in Caffe."""
    return pool(g, m, x, "MaxPool", [pooling_window(m, side, ceil=True) for side in "HW"])


@module("inn.SpatialAveragePooling", name="avgpool", rank=4, expects=batch_first(None, None, None))
def inn_average_pooling(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """The mean of each window, in ceil mode as in Caffe; padding counts."""
    return average_pool(g, m, x, [pooling_window(m, side, ceil=True) for side in "HW"], include_pad=True)


@module("VolumetricAveragePooling", name="avgpool", rank=5, expects=batch_first(None, None, None, None))
def volumetric_average_pooling(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """The mean of each window over time, height and width."""
    windows = [pooling_window(m, side) for side in "THW"]
    return average_pool(g, m, x, windows, m.flag("count_include_pad", default=True))


@module("SpatialSubSampling", name="subsampling", rank=4, expects=expected_maps)
def spatial_sub_sampling(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """The sum of each window times a weight for each channel, plus a bias for each channel.

    In old files the weight may have further dimensions. Its first size is the number of channels, and Torch
    reads that many elements from its memory (THNN's SpatialSubSampling.c).
    """
    weight, bias = m.tensor("weight"), m.tensor("bias")
    channels = len(weight)
    check_channels(m, x, 1, channels)
    windows = [pooling_window(m, side) for side in "HW"]
    means = pool(g, m, x, "AveragePool", windows)
    if bias.size < channels or not (weight.flags.c_contiguous and bias.flags.c_contiguous):
        raise m.unsupported("Torch reads beyond its weight or bias, or between their elements")
    first = weight.reshape(-1)[:channels], bias.reshape(-1)[:channels]
    return weighted_sums(g, means, windows, *(array.reshape(-1, 1, 1) for array in first))


def weighted_sums(
    g: Builder, means: ir.Value, windows: Sequence[Window], weight: np.ndarray, bias: np.ndarray
) -> ir.Value:
    """weight * sum + bias, from the means of the windows."""
    sums = g.binary("Mul", means, float(window_elements(windows)))
    return g.binary("Add", g.binary("Mul", sums, g.weight("weight", weight)), g.weight("bias", bias))


@module("TemporalMaxPooling", name="maxpool", rank=3, expects=batch_first(None, None))
def temporal_max_pooling(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """The largest of each window over time of N x time x features."""
    pooled = pool(g, m, g.transpose(x, [0, 2, 1]), "MaxPool", [pooling_window(m, "W")])
    return g.transpose(pooled, [0, 2, 1])


@module("TemporalSubSampling", name="subsampling", rank=3, expects=expected_frames)
def temporal_sub_sampling(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """The sum of each window over time times a weight for each feature, plus a bias for each feature."""
    features = m.c_integer("inputFrameSize", minimum=1)
    check_channels(m, x, 2, features)
    windows = [pooling_window(m, "W")]
    means = g.transpose(pool(g, m, g.transpose(x, [0, 2, 1]), "AveragePool", windows), [0, 2, 1])
    return weighted_sums(g, means, windows, m.tensor("weight", (features,)), m.tensor("bias", (features,)))


@module(
    "TemporalDynamicKMaxPooling",
    name="kmaxpool",
    new_output=lambda x: True,
    expects=batch_first(None, None),
)
def temporal_dynamic_k_max_pooling(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """The k largest values of each feature in their order in time; k = max(minK, ceil(factor * time))."""
    axis = len(dims(x)) - 2
    time = m.static_size(dims(x)[axis])
    k = max(m.integer("minK", minimum=1), math.ceil(m.number("factor", 0) * time))
    if k > time:
        raise m.error(FormatError, f"takes the {k} largest of {time}")
    shape = [k if place == axis else size for place, size in enumerate(dims(x))]
    _, places = top_k(g, x, k, axis, shape, largest=1)
    # Sorting by place restores the order in time.
    in_order, _ = top_k(g, places, k, axis, shape, largest=0)
    return g.node("GatherElements", x, in_order, shape=shape, axis=axis)


def top_k(
    g: Builder, x: ir.Value, k: int, axis: int, shape: Sequence[object], largest: int
) -> list[ir.Value]:
    """The k largest (or smallest) values along an axis, sorted, and their places."""
    return g.nodes(
        "TopK", x, np.array([k], np.int64), shapes=[shape, shape], dtypes=[x.dtype, ir.DataType.INT64],  # type: ignore[list-item]
        axis=axis, largest=largest, sorted=1,
    )  # fmt: skip


@module("SpatialAdaptiveMaxPooling", name="maxpool", rank=4, expects=batch_first(None, None, None))
def spatial_adaptive_max_pooling(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """The largest of each of H x W regions, which overlap where the sizes do not divide."""
    for axis, cells in ((2, m.c_integer("H", minimum=1)), (3, m.c_integer("W", minimum=1))):
        if cells == 1:
            x = reduce(g, "ReduceMax", x, axis, keep=True)
            continue
        m.check_element_count(cells, m.static_size(dims(x)[axis]))
        regions = adaptive_regions(m.static_size(dims(x)[axis]), cells)
        widest = max(len(region) for region in regions)
        # Shorter regions repeat their last entry, which does not change the maximum.
        places = np.array([[*r, *[r[-1]] * (widest - len(r))] for r in regions], np.int64)
        shape = (*dims(x)[:axis], cells, widest, *dims(x)[axis + 1 :])
        x = reduce(g, "ReduceMax", g.node("Gather", x, places, shape=shape, axis=axis), axis + 1)
    return x


@module("SpatialAdaptiveAveragePooling", name="avgpool", rank=4, expects=batch_first(None, None, None))
def spatial_adaptive_average_pooling(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """The mean of each of H x W regions: first down the columns, then along the rows."""
    height, width = m.c_integer("H", minimum=1), m.c_integer("W", minimum=1)
    if (height, width) == (1, 1):
        return g.node("GlobalAveragePool", x, shape=(*dims(x)[:2], 1, 1))
    rows, columns = (m.static_size(size) for size in dims(x)[2:])
    m.check_element_count(rows, height)
    m.check_element_count(columns, width)
    down = g.node(
        "MatMul", averaging_matrix(rows, height), x, shape=(*dims(x)[:2], height, columns), dtype=x.dtype
    )
    return g.node(
        "MatMul", down, averaging_matrix(columns, width).T.copy(), shape=(*dims(x)[:2], height, width)
    )


def averaging_matrix(size: int, cells: int) -> np.ndarray:
    """The matrix (cells x size) by which a vector is multiplied to get the mean of each region."""
    matrix = np.zeros((cells, size), np.float32)
    for row, region in enumerate(adaptive_regions(size, cells)):
        matrix[row, region] = 1 / len(region)
    return matrix


def adaptive_regions(size: int, cells: int) -> list[range]:
    """The entries of each cell i: from floor(i * size / cells) to ceil((i + 1) * size / cells)."""
    return [range(i * size // cells, -(-(i + 1) * size // cells)) for i in range(cells)]


@module("FeatureLPPooling", name="lppool")
def feature_lp_pooling(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """(sum of x^power) ^ (1/power) over windows of features, the first dimension after a batch."""
    batched = m.flag("batch_mode")
    samples = x if batched else g.unsqueeze(x, 0)
    if len(dims(samples)) < 2:
        raise m.error(FormatError, f"takes a batch of at least 2-D, not {shape_text(dims(x))}")
    window = Window(m.integer("width", minimum=1), m.integer("stride", 1, minimum=1), 0)
    power = m.positive("power")
    (count,) = output_sizes(g, m, (m.static_size(dims(samples)[1]),), [window])
    m.check_element_count(m.static_size(count), window.kernel)
    places = np.arange(m.static_size(count))[:, None] * window.stride + np.arange(window.kernel)
    shape = (dims(samples)[0], *places.shape, *dims(samples)[2:])
    gathered = g.node("Gather", samples, places.astype(np.int64), shape=shape, axis=1)
    sums = reduce(g, "ReduceSum", g.binary("Pow", gathered, power), 2)
    norms = g.binary("Pow", sums, 1 / power)
    return norms if batched else g.squeeze(norms, [0])
