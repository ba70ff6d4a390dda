"""Reductions along axes, positions of extremes, sorting and running sums."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from converters.to_pytorch.context import Context, torch_dtype
from converters.to_pytorch.helpers import reduction as helpers
from converters.to_pytorch.registry import operator

Axes = np.ndarray | None


def _identity(x: Tensor) -> Tensor:
    return x


def _reduce(
    ctx: Context,
    x: Tensor,
    axes: Axes,
    keepdims: int,
    noop: int,
    function: Callable[..., Tensor],
    *,
    before: Callable[[Tensor], Tensor] = _identity,
    after: Callable[[Tensor], Tensor] = _identity,
) -> Tensor:
    """`after(function(before(x), axes, keepdim=...))`, with the rules of ONNX for the axes.

    Without axes (x is a scalar, or noop is set and none are given), `function` is left out.
    """
    if axes is not None and axes.size:
        dims = tuple(axes.tolist())
    else:
        dims = () if noop else tuple(range(ctx.rank(x)))
    x = before(x)
    if dims:
        x = function(x, dims[0] if len(dims) == 1 else dims, **({"keepdim": True} if keepdims else {}))
    return after(x)


def _same_type(ctx: Context) -> dict[str, torch.dtype]:
    """The keyword argument that keeps the type of integers: torch sums small ones in int64, ONNX does not."""
    dtype = ctx.output_dtype()
    return {} if dtype.is_floating_point() else {"dtype": torch_dtype(dtype)}


def _check_float(ctx: Context) -> None:
    if not ctx.output_dtype().is_floating_point():
        ctx.unsupported("PyTorch has it for floating-point numbers only, and its input holds integers")


@operator("ReduceSum")
def reduce_sum(
    ctx: Context, x: Tensor, axes: Axes = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0
) -> Tensor:
    """The sum."""
    kind = _same_type(ctx)
    return _reduce(ctx, x, axes, keepdims, noop_with_empty_axes, lambda x, a, **k: x.sum(a, **k, **kind))


@operator("ReduceMean")
def reduce_mean(
    ctx: Context, x: Tensor, axes: Axes = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0
) -> Tensor:
    """The mean."""
    _check_float(ctx)
    return _reduce(ctx, x, axes, keepdims, noop_with_empty_axes, lambda x, a, **k: x.mean(a, **k))


@operator("ReduceMax")
def reduce_max(
    ctx: Context, x: Tensor, axes: Axes = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0
) -> Tensor:
    """The maximum."""
    return _reduce(ctx, x, axes, keepdims, noop_with_empty_axes, lambda x, a, **k: x.amax(a, **k))


@operator("ReduceMin")
def reduce_min(
    ctx: Context, x: Tensor, axes: Axes = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0
) -> Tensor:
    """The minimum."""
    return _reduce(ctx, x, axes, keepdims, noop_with_empty_axes, lambda x, a, **k: x.amin(a, **k))


@operator("ReduceProd")
def reduce_prod(
    ctx: Context, x: Tensor, axes: Axes = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0
) -> Tensor:
    """The product, one axis after the other, because torch reduces only one at a time."""
    kind = _same_type(ctx)

    def product(start: Tensor, dims: int | tuple[int, ...], **keep: Any) -> Tensor:  # noqa: ANN401
        result: Any = start
        for axis in (
            [dims] if isinstance(dims, int) else sorted((a % ctx.rank(start) for a in dims), reverse=True)
        ):
            result = result.prod(axis, **keep, **kind)
        return ctx.tensor(result)

    return _reduce(ctx, x, axes, keepdims, noop_with_empty_axes, product)


@operator("ReduceL1")
def reduce_l1(
    ctx: Context, x: Tensor, axes: Axes = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0
) -> Tensor:
    """The sum of the absolute values."""
    kind = _same_type(ctx)
    return _reduce(
        ctx,
        x,
        axes,
        keepdims,
        noop_with_empty_axes,
        lambda x, a, **k: x.sum(a, **k, **kind),
        before=lambda x: x.abs(),
    )


@operator("ReduceL2")
def reduce_l2(
    ctx: Context, x: Tensor, axes: Axes = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0
) -> Tensor:
    """The square root of the sum of squares."""
    _check_float(ctx)
    return _reduce(
        ctx,
        x,
        axes,
        keepdims,
        noop_with_empty_axes,
        lambda x, a, **k: x.sum(a, **k),
        before=lambda x: x.square(),
        after=lambda x: x.sqrt(),
    )


@operator("ReduceSumSquare")
def reduce_sum_square(
    ctx: Context, x: Tensor, axes: Axes = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0
) -> Tensor:
    """The sum of squares."""
    kind = _same_type(ctx)
    return _reduce(
        ctx,
        x,
        axes,
        keepdims,
        noop_with_empty_axes,
        lambda x, a, **k: x.sum(a, **k, **kind),
        before=lambda x: x.square(),
    )


@operator("ReduceLogSum")
def reduce_log_sum(
    ctx: Context, x: Tensor, axes: Axes = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0
) -> Tensor:
    """The logarithm of the sum."""
    _check_float(ctx)
    return _reduce(
        ctx, x, axes, keepdims, noop_with_empty_axes, lambda x, a, **k: x.sum(a, **k), after=lambda x: x.log()
    )


@operator("ReduceLogSumExp")
def reduce_log_sum_exp(
    ctx: Context, x: Tensor, axes: Axes = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0
) -> Tensor:
    """The logarithm of the sum of exponentials."""
    _check_float(ctx)
    return _reduce(ctx, x, axes, keepdims, noop_with_empty_axes, lambda x, a, **k: x.logsumexp(a, **k))


@operator("ArgMax")
def arg_max(
    ctx: Context, x: Tensor, *, axis: int = 0, keepdims: int = 1, select_last_index: int = 0
) -> Tensor:
    """The index of the maximum; of the first or the last of equal ones."""
    if select_last_index:
        return x.shape[axis] - 1 - x.flip(axis).argmax(axis, keepdim=bool(keepdims))
    return x.argmax(axis, keepdim=bool(keepdims))


@operator("ArgMin")
def arg_min(
    ctx: Context, x: Tensor, *, axis: int = 0, keepdims: int = 1, select_last_index: int = 0
) -> Tensor:
    """The index of the minimum; of the first or the last of equal ones."""
    if select_last_index:
        return x.shape[axis] - 1 - x.flip(axis).argmin(axis, keepdim=bool(keepdims))
    return x.argmin(axis, keepdim=bool(keepdims))


@operator("TopK")
def top_k(
    ctx: Context,
    x: Tensor,
    k: np.ndarray,
    *,
    axis: int = -1,
    largest: int = 1,
    sorted: int = 1,
) -> tuple[Tensor, ...]:
    """The k largest or smallest and their indices; equal ones in their order, unlike torch.topk."""
    found = ctx.unpack(torch.sort(x, dim=axis, descending=bool(largest), stable=True), 2)
    count = k.reshape(()).item()
    return tuple(part.narrow(axis, 0, count) for part in found)


@operator("CumSum")
def cum_sum(ctx: Context, x: Tensor, axis: np.ndarray, *, exclusive: int = 0, reverse: int = 0) -> Tensor:
    """Running sums along an axis; with exclusive=1 without the element itself."""
    along = axis.reshape(()).item()
    start = x.flip(along) if reverse else x
    if exclusive:
        start = ctx.call(helpers.shifted, start, along)
    result = start.cumsum(along, **_same_type(ctx))
    return result.flip(along) if reverse else result
