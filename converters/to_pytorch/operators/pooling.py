"""Pooling over windows and over whole planes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, fx, nn

from converters.to_pytorch.context import Context
from converters.to_pytorch.helpers import pooling as helpers
from converters.to_pytorch.operators.manipulation import lowest
from converters.to_pytorch.operators.sliding_window import SlidingWindow, scalar_if_equal
from converters.to_pytorch.registry import operator

_MAX = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}
_AVERAGE = {1: nn.AvgPool1d, 2: nn.AvgPool2d, 3: nn.AvgPool3d}
_AVERAGE_FUNCTION = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}
_GLOBAL_AVERAGE = {1: nn.AdaptiveAvgPool1d, 2: nn.AdaptiveAvgPool2d, 3: nn.AdaptiveAvgPool3d}
_GLOBAL_MAX = {1: nn.AdaptiveMaxPool1d, 2: nn.AdaptiveMaxPool2d, 3: nn.AdaptiveMaxPool3d}


@operator("MaxPool")
def max_pool(
    ctx: Context,
    x: Tensor,
    *,
    kernel_shape: list[int],
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    dilations: list[int] | None = None,
    pads: list[int] | None = None,
    storage_order: int = 0,
    strides: list[int] | None = None,
) -> Tensor | tuple[Tensor, Tensor]:
    """An nn.MaxPool; end pads become its ceil_mode if that gives the same windows."""
    rank = _rank(ctx, kernel_shape)
    if not ctx.output_dtype().is_floating_point():
        ctx.unsupported("PyTorch pools floating-point numbers only, and its input holds integers")
    window = SlidingWindow.of(ctx, ctx.shape(x), kernel_shape, strides, pads, dilations, auto_pad)
    ceil = _torch_ceil(ctx, x, window, ceil_mode)
    pooled, padding = x, scalar_if_equal(window.begin)
    if ceil is None:
        # The module cannot pad like this: pad first, with the lowest number of the type.
        # Caffe and ONNX Runtime also return it for a window that lies entirely in the padding.
        window = _with_exact_end_pads(ctx, x, window) if ceil_mode else window
        pooled, padding, ceil = F.pad(x, window.padding, value=lowest(ctx, x)), 0, False
    options: dict[str, Any] = {
        "kernel_size": scalar_if_equal(window.kernel),
        "stride": scalar_if_equal(window.strides),
        "padding": padding,
        "dilation": scalar_if_equal(window.dilations),
        "ceil_mode": ceil,
    }
    if not ctx.is_used(1):
        return ctx.module(_MAX[rank], **options)(pooled)
    if storage_order:
        ctx.unsupported("storage_order=1 (column-major positions) has no PyTorch form")
    values, positions = ctx.unpack(ctx.module(_MAX[rank], **options, return_indices=True)(pooled), 2)
    if pooled is not x:
        positions = ctx.call(helpers.without_padding, positions, x, window.padding)
    return values, ctx.call(helpers.across_planes, positions, x)


@operator("AveragePool")
def average_pool(
    ctx: Context,
    x: Tensor,
    *,
    kernel_shape: list[int],
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    count_include_pad: int = 0,
    dilations: list[int] | None = None,
    pads: list[int] | None = None,
    strides: list[int] | None = None,
) -> Tensor:
    """An nn.AvgPool; a preceding Pad with zeros becomes its padding if the divisors stay the same."""
    rank = _rank(ctx, kernel_shape)
    if any(step != 1 for step in dilations or ()):
        ctx.unsupported("PyTorch has no dilated average pooling")
    window = SlidingWindow.of(ctx, ctx.shape(x), kernel_shape, strides, pads, None, auto_pad)
    options: dict[str, Any] = {
        "kernel_size": scalar_if_equal(window.kernel),
        "stride": scalar_if_equal(window.strides),
    }
    fused = _fuse_preceding_pad(x, window)
    if fused is not None:
        inner, padded = fused
        ceil = _torch_ceil(ctx, inner, padded, ceil_mode)
        if ceil is not None:
            return ctx.module(
                _AVERAGE[rank], **options, padding=scalar_if_equal(padded.begin), ceil_mode=ceil
            )(inner)
    ceil = _torch_ceil(ctx, x, window, ceil_mode)
    if ceil is not None and (not count_include_pad or window.symmetric):
        counts = bool(count_include_pad) or not any(window.begin)
        return ctx.module(
            _AVERAGE[rank],
            **options,
            padding=scalar_if_equal(window.begin),
            ceil_mode=ceil,
            count_include_pad=counts,
        )(x)
    if ceil_mode:
        ctx.unsupported("PyTorch's ceil mode gives other windows than ceil_mode=1 with these pads")
    if count_include_pad:
        return ctx.module(_AVERAGE[rank], **options)(F.pad(x, window.padding))
    result: Tensor = ctx.call(helpers.average_pool, x, *options.values(), window.padding)
    return result


@operator("LpPool")
def lp_pool(
    ctx: Context,
    x: Tensor,
    *,
    kernel_shape: list[int],
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    dilations: list[int] | None = None,
    p: int = 2,
    pads: list[int] | None = None,
    strides: list[int] | None = None,
) -> Tensor:
    """The p-norm of each window."""
    rank = _rank(ctx, kernel_shape)
    if ceil_mode or any(step != 1 for step in dilations or ()):
        ctx.unsupported("PyTorch has no p-norm pooling with dilation or ceil_mode")
    window = SlidingWindow.of(ctx, ctx.shape(x), kernel_shape, strides, pads, None, auto_pad)
    powers = x.abs().pow(p)
    padded = F.pad(powers, window.padding) if any(window.padding) else powers
    sums = _AVERAGE_FUNCTION[rank](padded, scalar_if_equal(window.kernel), scalar_if_equal(window.strides))
    return (sums * math.prod(window.kernel)).pow(1 / p)


@operator("GlobalAveragePool")
def global_average_pool(ctx: Context, x: Tensor) -> Tensor:
    """The mean of each plane."""
    rank = ctx.rank(x) - 2
    if rank not in _GLOBAL_AVERAGE:
        return x.mean(tuple(range(2, rank + 2)), keepdim=True)
    return ctx.module(_GLOBAL_AVERAGE[rank], 1)(x)


@operator("GlobalMaxPool")
def global_max_pool(ctx: Context, x: Tensor) -> Tensor:
    """The maximum of each plane."""
    rank = ctx.rank(x) - 2
    if rank not in _GLOBAL_MAX:
        return x.amax(tuple(range(2, rank + 2)), keepdim=True)
    return ctx.module(_GLOBAL_MAX[rank], 1)(x)


@operator("GlobalLpPool")
def global_lp_pool(ctx: Context, x: Tensor, *, p: int = 2) -> Tensor:
    """The p-norm of each plane."""
    return x.abs().pow(p).sum(tuple(range(2, ctx.rank(x))), keepdim=True).pow(1 / p)


@operator("MaxUnpool")
def max_unpool(
    ctx: Context,
    x: Tensor,
    indices: Tensor,
    output_shape: np.ndarray | None = None,
    *,
    kernel_shape: list[int],
    pads: list[int] | None = None,
    strides: list[int] | None = None,
) -> Tensor:
    """The values at the positions from which MaxPool took them, zeros elsewhere."""
    window = SlidingWindow.of(ctx, None, kernel_shape, strides, pads)
    if output_shape is not None:
        sizes = output_shape.tolist()[2:]
    else:
        sizes = [
            (x.shape[axis + 2] - 1) * stride + kernel - begin - end
            for axis, (stride, kernel, begin, end) in enumerate(
                zip(window.strides, window.kernel, window.begin, window.end, strict=True)
            )
        ]
    result: Tensor = ctx.call(helpers.max_unpool, x, indices, sizes)
    return result


def _rank(ctx: Context, kernel: Sequence[int]) -> int:
    if len(kernel) not in _MAX:
        ctx.unsupported(f"its kernel has {len(kernel)} axes; PyTorch pools along 1, 2 or 3")
    return len(kernel)


def _torch_ceil(ctx: Context, x: Any, window: SlidingWindow, ceil_mode: int) -> bool | None:  # noqa: ANN401
    """The ceil_mode of torch that gives the same windows with the end padded like the beginning, or None.

    It is enough to compare the number of windows: their positions depend on the beginning only, and torch
    ignores the part of a window beyond the end.
    """
    if any(begin > kernel // 2 for begin, kernel in zip(window.begin, window.kernel, strict=True)):
        return None  # torch refuses a padding of more than half the kernel
    sizes = [size for size in (ctx.shape(x) or ())[2:] if size is not None]
    if len(sizes) != len(window.kernel):
        return bool(ceil_mode) and max(window.strides) > 1 if window.symmetric else None
    wanted = window.output_sizes(sizes, ceil=bool(ceil_mode), end=window.end)
    found = (c for c in (False, True) if window.output_sizes(sizes, ceil=c, end=window.begin) == wanted)
    return next(found, None)


def _with_exact_end_pads(ctx: Context, x: Any, window: SlidingWindow) -> SlidingWindow:  # noqa: ANN401
    """The window with the end pads at which the last position of ceil_mode=1 ends."""
    sizes = [size for size in (ctx.shape(x) or ())[2:] if size is not None]
    if len(sizes) != len(window.kernel):
        ctx.unsupported("ceil_mode=1 with these pads needs the size of its input to be known beforehand")
    end = []
    for axis, count in enumerate(window.output_sizes(sizes, ceil=True, end=window.end)):
        reach = (count - 1) * window.strides[axis] + window.effective_kernel[axis]
        end.append(reach - sizes[axis] - window.begin[axis])
    return replace(window, end=tuple(end))


def _fuse_preceding_pad(x: Any, window: SlidingWindow) -> tuple[Any, SlidingWindow] | None:  # noqa: ANN401
    """If x is F.pad(inner) with symmetric zeros: inner, and the window with that padding added."""
    node = x.node
    if (
        any(window.begin)
        or node.target is not F.pad
        or node.kwargs.get("value")
        or node.kwargs.get("mode", "constant") != "constant"
    ):
        return None
    inner, padding = node.args
    pairs = list(zip(padding[::2], padding[1::2], strict=True))[::-1]
    if len(pairs) > len(window.kernel) or any(begin != end or begin < 0 for begin, end in pairs):
        return None
    begin = (0,) * (len(window.kernel) - len(pairs)) + tuple(begin for begin, _ in pairs)
    end = tuple(b + e for b, e in zip(begin, window.end, strict=True))
    return fx.Proxy(inner, x.tracer), replace(window, begin=begin, end=end)
