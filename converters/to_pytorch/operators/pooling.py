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
from converters.to_pytorch.operators.arrangement import lowest
from converters.to_pytorch.operators.windows import Windows, plain
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
    """An nn.MaxPool; end pads become its ceil mode where that gives the same windows."""
    rank = _rank(ctx, kernel_shape)
    if not ctx.output_dtype().is_floating_point():
        ctx.unsupported("PyTorch pools floating-point numbers only, and its input holds integers")
    windows = Windows.of(ctx, ctx.shape(x), kernel_shape, strides, pads, dilations, auto_pad)
    ceil = _torch_ceil(ctx, x, windows, ceil_mode)
    pooled, padding = x, plain(windows.begin)
    if ceil is None:
        # What torch's own padding cannot say: pad with what no value is smaller than.
        # Where a window lies wholly in the padding, that is the maximum, in Caffe as in ONNX Runtime.
        windows = _exactly(ctx, x, windows) if ceil_mode else windows
        pooled, padding, ceil = F.pad(x, windows.padding, value=lowest(ctx, x)), 0, False
    options: dict[str, Any] = {
        "kernel_size": plain(windows.kernel),
        "stride": plain(windows.strides),
        "padding": padding,
        "dilation": plain(windows.dilations),
        "ceil_mode": ceil,
    }
    if not ctx.wants(1):
        return ctx.module(_MAX[rank], **options)(pooled)
    if storage_order:
        ctx.unsupported("storage_order=1 (positions counted column by column) has no PyTorch form")
    values, positions = ctx.parts(ctx.module(_MAX[rank], **options, return_indices=True)(pooled), 2)
    if pooled is not x:
        positions = ctx.call(helpers.without_padding, positions, x, windows.padding)
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
    """An nn.AvgPool; a Pad with zeros before it becomes its own padding where torch counts alike."""
    rank = _rank(ctx, kernel_shape)
    if any(step != 1 for step in dilations or ()):
        ctx.unsupported("PyTorch has no dilated average pooling")
    windows = Windows.of(ctx, ctx.shape(x), kernel_shape, strides, pads, None, auto_pad)
    options: dict[str, Any] = {"kernel_size": plain(windows.kernel), "stride": plain(windows.strides)}
    fused = _with_pad_before(x, windows)
    if fused is not None:
        inner, padded = fused
        ceil = _torch_ceil(ctx, inner, padded, ceil_mode)
        if ceil is not None:
            return ctx.module(_AVERAGE[rank], **options, padding=plain(padded.begin), ceil_mode=ceil)(inner)
    ceil = _torch_ceil(ctx, x, windows, ceil_mode)
    if ceil is not None and (not count_include_pad or windows.symmetric):
        counts = bool(count_include_pad) or not any(windows.begin)
        return ctx.module(
            _AVERAGE[rank], **options, padding=plain(windows.begin), ceil_mode=ceil, count_include_pad=counts
        )(x)
    if ceil_mode:
        ctx.unsupported("ceil_mode=1 with these pads gives other windows than PyTorch")
    if count_include_pad:
        return ctx.module(_AVERAGE[rank], **options)(F.pad(x, windows.padding))
    result: Tensor = ctx.call(helpers.average_pool, x, *options.values(), windows.padding)
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
    windows = Windows.of(ctx, ctx.shape(x), kernel_shape, strides, pads, None, auto_pad)
    powers = x.abs().pow(p)
    padded = F.pad(powers, windows.padding) if any(windows.padding) else powers
    sums = _AVERAGE_FUNCTION[rank](padded, plain(windows.kernel), plain(windows.strides))
    return (sums * math.prod(windows.kernel)).pow(1 / p)


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
    """Values back to where MaxPool took them from, zeros elsewhere."""
    windows = Windows.of(ctx, None, kernel_shape, strides, pads)
    if output_shape is not None:
        sizes = output_shape.tolist()[2:]
    else:
        sizes = [
            (x.shape[axis + 2] - 1) * stride + kernel - begin - end
            for axis, (stride, kernel, begin, end) in enumerate(
                zip(windows.strides, windows.kernel, windows.begin, windows.end, strict=True)
            )
        ]
    result: Tensor = ctx.call(helpers.max_unpool, x, indices, sizes)
    return result


def _rank(ctx: Context, kernel: Sequence[int]) -> int:
    if len(kernel) not in _MAX:
        ctx.unsupported(f"its kernel has {len(kernel)} axes; PyTorch pools along 1, 2 or 3")
    return len(kernel)


def _torch_ceil(ctx: Context, x: Any, windows: Windows, ceil_mode: int) -> bool | None:  # noqa: ANN401
    """Torch's ceil mode that gives the windows asked for when both sides are padded like the beginning.

    None if neither does. Only the number of windows is to be compared: where they lie is given by the
    beginning, and what hangs over the end is not looked at.
    """
    if any(begin > kernel // 2 for begin, kernel in zip(windows.begin, windows.kernel, strict=True)):
        return None  # torch refuses more padding than that
    sizes = [size for size in (ctx.shape(x) or ())[2:] if size is not None]
    if len(sizes) != len(windows.kernel):
        return bool(ceil_mode) and max(windows.strides) > 1 if windows.symmetric else None
    wanted = windows.counts(sizes, ceil=bool(ceil_mode), end=windows.end)
    found = (c for c in (False, True) if windows.counts(sizes, ceil=c, end=windows.begin) == wanted)
    return next(found, None)


def _exactly(ctx: Context, x: Any, windows: Windows) -> Windows:  # noqa: ANN401
    """The windows of ceil_mode=1 with end pads that the last of them just reaches."""
    sizes = [size for size in (ctx.shape(x) or ())[2:] if size is not None]
    if len(sizes) != len(windows.kernel):
        ctx.unsupported("ceil_mode=1 with these pads needs the size of its input to be known beforehand")
    end = []
    for axis, count in enumerate(windows.counts(sizes, ceil=True, end=windows.end)):
        reach = (count - 1) * windows.strides[axis] + windows.spans[axis]
        end.append(reach - sizes[axis] - windows.begin[axis])
    return replace(windows, end=tuple(end))


def _with_pad_before(x: Any, windows: Windows) -> tuple[Any, Windows] | None:  # noqa: ANN401
    """What F.pad with zeros was applied to, and the windows with that padding, if it is symmetric."""
    node = x.node
    if (
        any(windows.begin)
        or node.target is not F.pad
        or node.kwargs.get("value")
        or node.kwargs.get("mode", "constant") != "constant"
    ):
        return None
    inner, padding = node.args
    pairs = list(zip(padding[::2], padding[1::2], strict=True))[::-1]
    if len(pairs) > len(windows.kernel) or any(begin != end or begin < 0 for begin, end in pairs):
        return None
    begin = (0,) * (len(windows.kernel) - len(pairs)) + tuple(begin for begin, _ in pairs)
    end = tuple(b + e for b, e in zip(begin, windows.end, strict=True))
    return fx.Proxy(inner, x.tracer), replace(windows, begin=begin, end=end)
