"""Matrix products."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from converters.mapped_array import contiguous
from converters.to_pytorch.context import Context
from converters.to_pytorch.generated_net import Initializer
from converters.to_pytorch.registry import operator


@operator("Gemm")
def gemm(
    ctx: Context,
    a: Tensor,
    b: Initializer | Tensor,
    c: Initializer | Tensor | None = None,
    *,
    alpha: float = 1.0,
    beta: float = 1.0,
    transA: int = 0,  # noqa: N803
    transB: int = 0,  # noqa: N803
) -> Tensor:
    """alpha * A @ B + beta * C; an nn.Linear if B and C are stored."""
    x = a.t() if transA else a
    if isinstance(b, Initializer) and alpha == 1.0:
        # nn.Linear stores (out, in); weights stored as (in, out) are transposed.
        weight = b if transB else replace(b, array=contiguous(b.array.T))
        outputs, inputs = weight.array.shape
        bias = (
            c.reshape(outputs)
            if isinstance(c, Initializer) and c.array.size == outputs and beta == 1.0
            else None
        )
        weights = {"weight": weight} if bias is None else {"weight": weight, "bias": bias}
        product = ctx.module(nn.Linear, inputs, outputs, bias=bias is not None, weights=weights)(x)
        if bias is not None or c is None:
            return product
    else:
        w = ctx.tensor(b)
        product = x @ (w.t() if transB else w)
        product = product if alpha == 1.0 else alpha * product
    if c is None:
        return product
    addend = ctx.tensor(c)
    return product + (addend if beta == 1.0 else beta * addend)


@operator("MatMul")
def matmul(ctx: Context, a: Tensor, b: Tensor) -> Tensor:
    """As numpy.matmul."""
    return a @ b


@operator("Einsum")
def einsum(ctx: Context, *operands: Tensor, equation: str) -> Tensor:
    """As numpy.einsum."""
    return torch.einsum(equation, *operands)
