"""Comparison, logic and choice."""

from __future__ import annotations

import onnx_ir as ir
import torch
from torch import Tensor

from converters.to_pytorch.context import Context, torch_dtype
from converters.to_pytorch.registry import operator

Operand = Tensor | float


@operator("Equal")
def equal(ctx: Context, a: Operand, b: Operand) -> Tensor | bool:
    """a == b."""
    return a == b


@operator("Greater")
def greater(ctx: Context, a: Operand, b: Operand) -> Tensor | bool:
    """a > b."""
    return a > b


@operator("GreaterOrEqual")
def greater_or_equal(ctx: Context, a: Operand, b: Operand) -> Tensor | bool:
    """a >= b."""
    return a >= b


@operator("Less")
def less(ctx: Context, a: Operand, b: Operand) -> Tensor | bool:
    """a < b."""
    return a < b


@operator("LessOrEqual")
def less_or_equal(ctx: Context, a: Operand, b: Operand) -> Tensor | bool:
    """a <= b."""
    return a <= b


@operator("And")
def logical_and(ctx: Context, a: Tensor, b: Tensor) -> Tensor:
    """a and b."""
    return a & b


@operator("Or")
def logical_or(ctx: Context, a: Tensor, b: Tensor) -> Tensor:
    """a or b."""
    return a | b


@operator("Xor")
def logical_xor(ctx: Context, a: Tensor, b: Tensor) -> Tensor:
    """Exactly one of a and b."""
    return a ^ b


@operator("Not")
def logical_not(ctx: Context, x: Tensor) -> Tensor:
    """not x."""
    return ~x


@operator("IsNaN")
def is_nan(ctx: Context, x: Tensor) -> Tensor:
    """Whether x is not a number."""
    return torch.isnan(x)


@operator("IsInf")
def is_inf(ctx: Context, x: Tensor, *, detect_negative: int = 1, detect_positive: int = 1) -> Tensor:
    """Whether x is infinite; each sign counts only if its attribute is set."""
    if detect_negative and detect_positive:
        return torch.isinf(x)
    if detect_positive:
        return torch.isposinf(x)
    return torch.isneginf(x) if detect_negative else torch.zeros_like(x, dtype=torch.bool)


@operator("Where")
def where(ctx: Context, condition: Tensor, x: Operand, y: Operand) -> Tensor:
    """x where the condition holds, else y."""
    chosen = torch.where(condition, x, y)
    if isinstance(x, int | float) and isinstance(y, int | float):
        # From two numbers torch makes a tensor of its default type.
        dtype = ctx.output_dtype()
        defaults = (ir.DataType.FLOAT, ir.DataType.INT64, ir.DataType.BOOL)
        return chosen if dtype in defaults else chosen.to(torch_dtype(dtype))
    return chosen
