"""Elementwise arithmetic and comparison, with broadcasting as in numpy and torch alike."""

from __future__ import annotations

import functools
import operator as python
from typing import Any

import torch
from torch import Tensor, fx

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
    """The remainder, with the sign of b, or of a where fmod=1."""
    return torch.fmod(a, b) if fmod else torch.remainder(a, b)


@operator("Pow")
def power(ctx: Context, a: Operand, b: Operand) -> Tensor:
    """a ** b, in the element type of a."""
    result = torch.pow(ctx.tensor(a), ctx.tensor(b))
    dtype = ctx.output_dtype()
    return result.to(torch_dtype(dtype)) if dtype is not None and _is_integer(ctx) else result


@operator("Max")
def maximum(ctx: Context, *operands: Operand) -> Operand:
    """The largest of the operands."""
    return functools.reduce(lambda a, b: _extreme(a, b, torch.maximum, "min"), operands)


@operator("Min")
def minimum(ctx: Context, *operands: Operand) -> Operand:
    """The smallest of the operands."""
    return functools.reduce(lambda a, b: _extreme(a, b, torch.minimum, "max"), operands)


@operator("Sum")
def total(ctx: Context, *operands: Operand) -> Operand:
    """The sum of the operands."""
    return functools.reduce(python.add, operands)


@operator("Mean")
def mean(ctx: Context, *operands: Operand) -> Operand:
    """The mean of the operands."""
    return functools.reduce(python.add, operands) / len(operands)


def _extreme(a: Any, b: Any, function: Any, bound: str) -> Any:  # noqa: ANN401
    if isinstance(a, fx.Proxy) and isinstance(b, fx.Proxy):
        return function(a, b)
    x, limit = (a, b) if isinstance(a, fx.Proxy) else (b, a)
    return x.clamp(**{bound: limit})


def _is_integer(ctx: Context) -> bool:
    dtype = ctx.output_dtype()
    return dtype is not None and not dtype.is_floating_point()
