"""Gathering and scattering elements by index."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
import torch
from torch import Tensor, nn

from converters.to_pytorch.context import Context
from converters.to_pytorch.generated_net import Initializer
from converters.to_pytorch.helpers import indexing as helpers
from converters.to_pytorch.registry import operator

# Up to this number of elements, indices are written into the code.
LITERAL_SIZE = 16


@operator("Gather")
def gather(
    ctx: Context, x: Initializer | Tensor, indices: Initializer | np.ndarray | Tensor, *, axis: int = 0
) -> Tensor:
    """Slices of x at these indices of an axis; an nn.Embedding for computed rows of a stored matrix."""
    where: Any = indices
    if isinstance(indices, Initializer):
        where = indices.array if indices.array.size <= LITERAL_SIZE else ctx.tensor(indices)
    elif not isinstance(indices, np.ndarray) and isinstance(x, Initializer) and _is_embedding(x, axis):
        return ctx.module(nn.Embedding, *x.array.shape, weights={"weight": x})(indices)
    data: Any = ctx.tensor(x)
    before = (slice(None),) * (axis if axis >= 0 else axis + ctx.rank(x))
    if not isinstance(where, np.ndarray):
        found = data[*before, where]
    elif where.ndim < 2:
        found = data[*before, where.tolist()]
    else:  # a nested list would index several axes
        found = data[*before, where.reshape(-1).tolist()].unflatten(len(before), where.shape)
    return ctx.tensor(found)


def _is_embedding(x: Initializer, axis: int) -> bool:
    return x.array.ndim == 2 and axis == 0 and x.array.dtype.kind == "f"


@operator("GatherElements")
def gather_elements(ctx: Context, x: Tensor, indices: Tensor, *, axis: int = 0) -> Tensor:
    """For each element of `indices`, the element of x at its position, with that index along the axis."""
    return torch.gather(x, axis, _nonnegative_indices(ctx, indices, x, axis))


@operator("GatherND")
def gather_nd(ctx: Context, x: Tensor, indices: Tensor, *, batch_dims: int = 0) -> Tensor:
    """Slices of x at index tuples; each row along the last axis of `indices` is one tuple."""
    result: Tensor = ctx.call(helpers.gather_nd, x, indices, batch_dims=batch_dims)
    return result


@operator("ScatterElements")
def scatter_elements(
    ctx: Context, x: Tensor, indices: Tensor, updates: Tensor, *, axis: int = 0, reduction: str = "none"
) -> Tensor:
    """x with elements replaced by the updates, or combined with them."""
    where = _nonnegative_indices(ctx, indices, x, axis)
    if reduction == "none":
        return x.scatter(axis, where, updates)
    return x.scatter_reduce(
        axis, where, updates, {"add": "sum", "mul": "prod", "max": "amax", "min": "amin"}[reduction]
    )


@operator("ScatterND")
def scatter_nd(
    ctx: Context, x: Tensor, indices: Tensor, updates: Tensor, *, reduction: str = "none"
) -> Tensor:
    """x with slices replaced by the updates, or increased by them."""
    if reduction not in ("none", "add"):
        ctx.unsupported(f"reduction={reduction!r} has no PyTorch form")
    result: Tensor = ctx.call(helpers.scatter_nd, x, indices, updates, add=reduction == "add")
    return result


@operator("OneHot")
def one_hot(ctx: Context, indices: Tensor, depth: np.ndarray, values: Tensor, *, axis: int = -1) -> Tensor:
    """A new axis with values[1] at the index and values[0] elsewhere."""
    result: Tensor = ctx.call(helpers.one_hot, indices, depth.reshape(()).tolist(), values, axis=axis)
    return result


@operator("NonZero")
def non_zero(ctx: Context, x: Tensor) -> Tensor:
    """The indices of the nonzero elements, one column each."""
    return x.nonzero().t()


@operator("Compress")
def compress(ctx: Context, x: Tensor, condition: Tensor, *, axis: int | None = None) -> Tensor:
    """The slices at which a vector of booleans is true; it may be shorter than the axis."""
    where = condition.nonzero().flatten()
    return x.flatten().index_select(0, where) if axis is None else x.index_select(axis, where)


@operator("Trilu")
def trilu(ctx: Context, x: Tensor, k: np.ndarray | None = None, *, upper: int = 1) -> Tensor:
    """The upper or lower triangle."""
    diagonal = 0 if k is None else k.reshape(()).item()
    return x.triu(diagonal) if upper else x.tril(diagonal)


def _nonnegative_indices(ctx: Context, indices: Tensor, x: Tensor, axis: int) -> Tensor:
    """Indices as torch.gather expects them: int64, none negative."""
    wide = indices if ctx.dtype(indices) in (None, ir.DataType.INT64) else indices.long()
    result: Tensor = ctx.call(helpers.from_beginning, wide, x.shape[axis])
    return result
