"""Max and average pooling.

Explicit end padding stands for ceil mode wherever sizes are known: it is right in every runtime, ONNX's own
ceil_mode is not (ONNX Runtime before 1.17).
"""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from converters.from_torch7.builder import Builder
from converters.from_torch7.module import Module
from converters.from_torch7.modules.windows import Window, is_static, output_sizes, overhangs, pooling_window
from converters.from_torch7.registry import batch_first, module
from converters.graph import dims


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
    return g.node(
        op_type,
        x,
        shape=(*dims(x)[:2], *output_sizes(g, m, sizes, windows)),
        kernel_shape=[window.kernel for window in windows],
        strides=[window.stride for window in windows],
        pads=[w.pad for w in windows] + [w.pad + end for w, end in zip(windows, ends, strict=True)],
        dilations=[w.dilation for w in windows] if any(w.dilation > 1 for w in windows) else None,
        ceil_mode=1 if by_mode else None,
        count_include_pad=include_pad,
    )


def average_pool(
    g: Builder, m: Module, x: ir.Value, windows: Sequence[Window], include_pad: bool
) -> ir.Value:
    """Means over windows, divided by their pixels with the padding (never the overhang) or without."""
    sizes = dims(x)[2:]
    if not include_pad or not any(window.pad for window in windows):
        return pool(g, m, x, "AveragePool", windows, include_pad=0)
    if any(window.ceil for window in windows):
        ends = overhangs(m, sizes, windows)
        if any(ends):
            # The padding becomes part of the image, so that only the overhang is left out of the count.
            x = g.pad(x, [(0, 0), (0, 0), *((window.pad, window.pad) for window in windows)])
            shape = (*dims(x)[:2], *output_sizes(g, m, sizes, windows))
            return g.node(
                "AveragePool",
                x,
                shape=shape,
                kernel_shape=[window.kernel for window in windows],
                strides=[window.stride for window in windows],
                pads=[0] * len(ends) + ends,
                count_include_pad=0,
            )
    return pool(g, m, x, "AveragePool", windows, include_pad=1)


@module(
    "SpatialMaxPooling",
    "SpatialDilatedMaxPooling",
    name="maxpool",
    rank=4,
    expects=lambda m: batch_first(None, None, None),
)
def spatial_max_pooling(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """The largest of each window; padding never wins."""
    return pool(g, m, x, "MaxPool", [pooling_window(m, side) for side in "HW"])


@module("SpatialAveragePooling", name="avgpool", rank=4, expects=lambda m: batch_first(None, None, None))
def spatial_average_pooling(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """Means; in nn files without `divide` sums (cudnn's class never has the field and always divides).

    Files without `ceil_mode` come from before padding, when every pixel counted.
    """
    windows = [pooling_window(m, side) for side in "HW"]
    means = average_pool(g, m, x, windows, m.flag("count_include_pad", default=True))
    if m.flag("divide") or m.class_name.startswith("cudnn."):
        return means
    return g.binary("Mul", means, float(windows[0].kernel * windows[1].kernel))
