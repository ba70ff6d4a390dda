"""Functions of one variable, element by element."""

from __future__ import annotations

import torch
from torch import Tensor

from converters.to_pytorch.context import Context
from converters.to_pytorch.registry import operator


@operator("Neg")
def neg(ctx: Context, x: Tensor) -> Tensor:
    """The negative."""
    return -x


@operator("Abs")
def abs_(ctx: Context, x: Tensor) -> Tensor:
    """The absolute value."""
    return torch.abs(x)


@operator("Acos")
def acos(ctx: Context, x: Tensor) -> Tensor:
    """The inverse cosine."""
    return torch.acos(x)


@operator("Acosh")
def acosh(ctx: Context, x: Tensor) -> Tensor:
    """The inverse hyperbolic cosine."""
    return torch.acosh(x)


@operator("Asin")
def asin(ctx: Context, x: Tensor) -> Tensor:
    """The inverse sine."""
    return torch.asin(x)


@operator("Asinh")
def asinh(ctx: Context, x: Tensor) -> Tensor:
    """The inverse hyperbolic sine."""
    return torch.asinh(x)


@operator("Atan")
def atan(ctx: Context, x: Tensor) -> Tensor:
    """The inverse tangent."""
    return torch.atan(x)


@operator("Atanh")
def atanh(ctx: Context, x: Tensor) -> Tensor:
    """The inverse hyperbolic tangent."""
    return torch.atanh(x)


@operator("Ceil")
def ceil(ctx: Context, x: Tensor) -> Tensor:
    """The smallest integer not below x."""
    return torch.ceil(x)


@operator("Cos")
def cos(ctx: Context, x: Tensor) -> Tensor:
    """The cosine."""
    return torch.cos(x)


@operator("Cosh")
def cosh(ctx: Context, x: Tensor) -> Tensor:
    """The hyperbolic cosine."""
    return torch.cosh(x)


@operator("Erf")
def erf(ctx: Context, x: Tensor) -> Tensor:
    """The error function."""
    return torch.erf(x)


@operator("Exp")
def exp(ctx: Context, x: Tensor) -> Tensor:
    """The exponential."""
    return torch.exp(x)


@operator("Floor")
def floor(ctx: Context, x: Tensor) -> Tensor:
    """The largest integer not above x."""
    return torch.floor(x)


@operator("Log")
def log(ctx: Context, x: Tensor) -> Tensor:
    """The natural logarithm."""
    return torch.log(x)


@operator("Reciprocal")
def reciprocal(ctx: Context, x: Tensor) -> Tensor:
    """1 / x."""
    return torch.reciprocal(x)


@operator("Round")
def round_(ctx: Context, x: Tensor) -> Tensor:
    """The nearest integer; halves to the even one."""
    return torch.round(x)


@operator("Sign")
def sign(ctx: Context, x: Tensor) -> Tensor:
    """-1, 0 or 1."""
    return torch.sign(x)


@operator("Sin")
def sin(ctx: Context, x: Tensor) -> Tensor:
    """The sine."""
    return torch.sin(x)


@operator("Sinh")
def sinh(ctx: Context, x: Tensor) -> Tensor:
    """The hyperbolic sine."""
    return torch.sinh(x)


@operator("Sqrt")
def sqrt(ctx: Context, x: Tensor) -> Tensor:
    """The square root."""
    return torch.sqrt(x)


@operator("Tan")
def tan(ctx: Context, x: Tensor) -> Tensor:
    """The tangent."""
    return torch.tan(x)
