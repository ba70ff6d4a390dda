"""Conv and ConvTranspose."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from converters.to_pytorch.context import Context
from converters.to_pytorch.generated_net import Initializer
from converters.to_pytorch.operators.sliding_window import SlidingWindow, scalar_if_equal
from converters.to_pytorch.registry import operator

_CONV = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
_CONV_FUNCTION = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
_TRANSPOSE = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
_TRANSPOSE_FUNCTION = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}


@operator("Conv")
def conv(
    ctx: Context,
    x: Tensor,
    w: Initializer | Tensor,
    b: Initializer | Tensor | None = None,
    *,
    auto_pad: str = "NOTSET",
    dilations: list[int] | None = None,
    group: int = 1,
    kernel_shape: list[int] | None = None,
    pads: list[int] | None = None,
    strides: list[int] | None = None,
) -> Tensor:
    """Convolution; w is (out channels, in channels / group, kernel...), as in torch."""
    shape = _weight_shape(ctx, w)
    window = SlidingWindow.of(ctx, ctx.shape(x), shape[2:], strides, pads, dilations, auto_pad)
    padding = scalar_if_equal(window.begin)
    if not window.symmetric:
        x, padding = F.pad(x, window.padding), 0
    options: dict[str, Any] = {
        "stride": scalar_if_equal(window.strides),
        "padding": padding,
        "dilation": scalar_if_equal(window.dilations),
        "groups": group,
    }
    rank = _rank(ctx, shape)
    if isinstance(w, Initializer) and isinstance(b, Initializer | None):
        weights = {"weight": w} if b is None else {"weight": w, "bias": b}
        kernel = scalar_if_equal(window.kernel)
        channels = shape[1] * group, shape[0]
        return ctx.module(
            _CONV[rank], *channels, kernel_size=kernel, **options, bias=b is not None, weights=weights
        )(x)
    return _CONV_FUNCTION[rank](x, ctx.tensor(w), ctx.tensor(b), **options)


@operator("ConvTranspose")
def conv_transpose(
    ctx: Context,
    x: Tensor,
    w: Initializer | Tensor,
    b: Initializer | Tensor | None = None,
    *,
    auto_pad: str = "NOTSET",
    dilations: list[int] | None = None,
    group: int = 1,
    kernel_shape: list[int] | None = None,
    output_padding: list[int] | None = None,
    output_shape: list[int] | None = None,
    pads: list[int] | None = None,
    strides: list[int] | None = None,
) -> Tensor:
    """Transposed convolution; w is (in channels, out channels / group, kernel...), as in torch.

    The pads are removed from the full result.
    """
    shape = _weight_shape(ctx, w)
    rank = _rank(ctx, shape)
    window = SlidingWindow.of(ctx, None, shape[2:], strides, pads, dilations)
    output_pads = tuple(output_padding or [0] * rank)
    if output_shape is not None or auto_pad.startswith("SAME"):
        window = _pads_for_output_shape(
            ctx, x, window, output_pads, output_shape, lower=auto_pad != "SAME_UPPER"
        )
    # Torch removes the same number at both ends; its output_padding adds back the excess at the end.
    end_excess = tuple(o + b - e for o, b, e in zip(output_pads, window.begin, window.end, strict=True))
    limits = (max(s, d) for s, d in zip(window.strides, window.dilations, strict=True))
    fits = all(0 <= p < limit for p, limit in zip(end_excess, limits, strict=True))
    options: dict[str, Any] = {
        "stride": scalar_if_equal(window.strides),
        "padding": scalar_if_equal(window.begin) if fits else 0,
        "output_padding": scalar_if_equal(end_excess if fits else output_pads),
        "dilation": scalar_if_equal(window.dilations),
        "groups": group,
    }
    if isinstance(w, Initializer) and isinstance(b, Initializer | None):
        kernel = scalar_if_equal(window.kernel)
        channels = shape[0], shape[1] * group
        weights = {"weight": w} if b is None else {"weight": w, "bias": b}
        y = ctx.module(
            _TRANSPOSE[rank], *channels, kernel_size=kernel, **options, bias=b is not None, weights=weights
        )(x)
    else:
        y = _TRANSPOSE_FUNCTION[rank](x, ctx.tensor(w), ctx.tensor(b), **options)
    return y if fits else F.pad(y, tuple(-size for size in window.padding))


def _pads_for_output_shape(
    ctx: Context,
    x: Tensor,
    window: SlidingWindow,
    output_pads: tuple[int, ...],
    output_shape: list[int] | None,
    *,
    lower: bool,
) -> SlidingWindow:
    """The window with the pads for `output_shape`; if that is None, for `stride` times the input."""
    begin, end = [], []
    sizes = (ctx.shape(x) or ())[2:] if output_shape is not None else (0,) * len(output_pads)
    for axis, (size, kernel, stride) in enumerate(
        zip(sizes, window.effective_kernel, window.strides, strict=True)
    ):
        if size is None:
            ctx.unsupported("with output_shape, the size of its input must be known beforehand")
        wanted = stride * size if output_shape is None else output_shape[axis]
        total = stride * (size - 1) + kernel + output_pads[axis] - wanted
        if total < 0:
            ctx.unsupported("its output_shape is larger than the full result without pads")
        begin.append(total - total // 2 if lower else total // 2)
        end.append(total - begin[-1])
    return replace(window, begin=tuple(begin), end=tuple(end))


def _weight_shape(ctx: Context, w: Initializer | Tensor) -> tuple[int, ...]:
    shape = ctx.shape(w)
    if shape is None or None in shape:
        ctx.unsupported("the shape of its weights must be known beforehand")
    return tuple(size for size in shape if size is not None)


def _rank(ctx: Context, shape: tuple[int, ...]) -> int:
    rank = len(shape) - 2
    if rank not in _CONV:
        ctx.unsupported(f"its kernel has {rank} axes; PyTorch convolves along 1, 2 or 3")
    return rank
