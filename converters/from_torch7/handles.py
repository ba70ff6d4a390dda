"""Tensors as Torch passes them around: references to memory that others may read and write.

ONNX values never change, Torch tensors do: an in-place ReLU alters what every other reader of the same memory
sees from then on. So modules are handed references. Reading one gives the ONNX value it has at that moment;
an in-place module writes a new one back, through views (View, SplitTable, ...) to the memory below.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import onnx_ir as ir


class Reference(Protocol):
    """A tensor. `contiguous`: its elements lie in memory in order, without gaps."""

    contiguous: bool

    def read(self) -> ir.Value:
        """The value it has now."""

    def write(self, value: ir.Value) -> None:
        """Give it, and everything that shares its memory, another value."""


Nest = Reference | list["Nest"]
ValueNest = ir.Value | list["ValueNest"]


class Memory:
    """A tensor with memory of its own."""

    contiguous = True

    def __init__(self, value: ir.Value) -> None:
        self._value = value

    def read(self) -> ir.Value:
        """Its value."""
        return self._value

    def write(self, value: ir.Value) -> None:
        """Replace its value."""
        self._value = value


class View:
    """A tensor that shows another one's memory in another way.

    look: the value below -> the value seen. put: (the value below, a new value seen) -> the new value below.
    """

    def __init__(
        self,
        base: Reference,
        look: Callable[[ir.Value], ir.Value],
        put: Callable[[ir.Value, ir.Value], ir.Value],
        contiguous: bool,
    ) -> None:
        self.contiguous = contiguous
        self._base = base
        self._look = look
        self._put = put
        self._below = base.read()
        self._seen = look(self._below)

    def read(self) -> ir.Value:
        """What it shows now; looked at anew when the memory below has changed."""
        below = self._base.read()
        if below is not self._below:
            self._below, self._seen = below, self._look(below)
        return self._seen

    def write(self, value: ir.Value) -> None:
        """Write through to the memory below."""
        self._base.write(self._put(self._base.read(), value))


def values(nest: Nest) -> ValueNest:
    """The values of every tensor in a nested table."""
    return [values(item) for item in nest] if isinstance(nest, list) else nest.read()


def flat(nest: Nest) -> list[Reference]:
    """The tensors of a nested table, depth first."""
    return [tensor for item in nest for tensor in flat(item)] if isinstance(nest, list) else [nest]


def nested(nesting: object, tensors: list[Nest]) -> Nest:
    """The tensors as a table nested like `nesting`; a single tensor where that is no list."""
    left = iter(tensors)

    def build(part: object) -> Nest:
        return [build(entry) for entry in part] if isinstance(part, list) else next(left)

    return build(nesting)
