"""Elementwise arithmetic and comparison, with the broadcasting that ONNX, numpy and torch share."""

from __future__ import annotations

import functools
import operator as python
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from converters.to_pytorch.context import Context, torch_dtype
from converters.to_pytorch.registry import operator

Operand = Tensor | float


@operator("Add")
def add(ctx: Context, a: Operand, b: Operand) -> Operand:
    """a + b."""
    return a + b


@operator("Sub")
def sub(ctx: Context, a: Operand, b: Operand) -> Operand:
    """a - b."""
    return a - b


@operator("Mul")
def mul(ctx: Context, a: Operand, b: Operand) -> Operand:
    """a * b."""
    return a * b


@operator("Div")
def div(ctx: Context, a: Tensor, b: Operand) -> Operand:
    """a / b; integers are truncated towards zero."""
    return torch.div(a, b, rounding_mode="trunc") if _is_integer(ctx) else a / b


@operator("Mod")
def mod(ctx: Context, a: Tensor, b: Operand, *, fmod: int = 0) -> Tensor:
    """The remainder, with the sign of b, or with fmod=1 that of a."""
    return torch.fmod(a, b) if fmod else torch.remainder(a, b)


@operator("Pow")
def power(ctx: Context, a: Operand, b: Operand) -> Tensor:
    """a ** b, in the element type of a."""
    base, exponent = ctx.tensor(a), ctx.tensor(b)
    if isinstance(b, float) and abs(b) == 0.5 and not _is_integer(ctx):
        # For these exponents torch computes a root, which differs from the power at -0.0 and -inf.
        exponent = torch.full_like(base, b)
    result = torch.pow(base, exponent)
    mixed = len({value.dtype for value in ctx.node.inputs if value is not None}) > 1
    return result.to(torch_dtype(ctx.output_dtype())) if mixed else result


@operator("Max")
def maximum(ctx: Context, *operands: Operand) -> Operand:
    """The largest of the operands."""
    return _extreme(ctx, operands, torch.maximum, "min")


@operator("Min")
def minimum(ctx: Context, *operands: Operand) -> Operand:
    """The smallest of the operands."""
    return _extreme(ctx, operands, torch.minimum, "max")


@operator("Sum")
def total(ctx: Context, *operands: Operand) -> Operand:
    """The sum of the operands."""
    return functools.reduce(python.add, operands)


@operator("Mean")
def mean(ctx: Context, *operands: Operand) -> Operand:
    """The mean of the operands."""
    return functools.reduce(python.add, operands) / len(operands)


def _extreme(
    ctx: Context, operands: Sequence[Operand], function: Callable[[Tensor, Tensor], Tensor], bound: str
) -> Tensor:
    numbers = [operand for operand in operands if isinstance(operand, int | float)]
    x = functools.reduce(function, [operand for operand in operands if not isinstance(operand, int | float)])
    for limit in numbers:
        x = x.clamp(**{bound: limit})
    return x


def _is_integer(ctx: Context) -> bool:
    return not ctx.output_dtype().is_floating_point()
