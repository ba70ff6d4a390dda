"""Sizes and shapes of tensors, of which some are known only at run time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import onnx_ir as ir

from converters.errors import StaticSizeRequired


@dataclass(frozen=True)
class Symbol:
    """A size known only at run time: `factor` times the size called `name`.

    batch: it is the number of items, so the net must work for every number from 1 on.
    """

    name: str
    factor: int = 1
    batch: bool = field(default=False, compare=False)

    def __mul__(self, other: Dim) -> Dim:
        """N * k. StaticSizeRequired for the product of two symbols."""
        if isinstance(other, Symbol):
            raise StaticSizeRequired(f"the product of the sizes {self} and {other} must be known beforehand")
        return replace(self, factor=self.factor * other) if other else 0

    __rmul__ = __mul__

    def __floordiv__(self, other: int) -> Symbol:
        """N*k // d. StaticSizeRequired unless d divides k."""
        if self.factor % other:
            raise StaticSizeRequired(f"the size {self} must be known beforehand to be divided by {other}")
        return replace(self, factor=self.factor // other)

    def __str__(self) -> str:
        return self.name if self.factor == 1 else f"{self.factor}*{self.name}"


Dim = int | Symbol
Shape = tuple[Dim, ...]


def dims(value: ir.Value) -> Shape:
    """The shape of a value made by `Graph`."""
    shape: Shape = value.meta["dims"]
    return shape


def static(size: Dim, what: str) -> int:
    """`size` as a number; StaticSizeRequired, which names it as `what`, if it is symbolic."""
    if isinstance(size, Symbol):
        raise StaticSizeRequired(f"{what} must be known beforehand; it is symbolic ({size})")
    return size


def product(sizes: Sequence[Dim]) -> Dim:
    """The product of the sizes. StaticSizeRequired if more than one is symbolic."""
    total: Dim = 1
    for size in sizes:
        total = total * size
    return total


def shape_text(shape: Sequence[Dim | str]) -> str:
    """A shape as text: 10x3x227x227, Nx1000, scalar."""
    return "x".join(str(size) for size in shape) or "scalar"
