"""Tensors as Torch passes them around: references to storage that other tensors may share.

ONNX values never change; Torch tensors do: after an in-place ReLU, everything that shares the storage shows
the new numbers. So modules are handed references instead of values. Reading a reference gives the ONNX value
that the tensor has now. An in-place module writes a new value to it, which passes through views (View,
SplitTable, ...) to the storage.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import onnx_ir as ir


class TensorReference(Protocol):
    """A tensor. `contiguous`: its elements lie in its storage in order and without gaps."""

    contiguous: bool

    def read(self) -> ir.Value:
        """The value that the tensor has now."""

    def write(self, value: ir.Value) -> None:
        """Give the tensor, and all that share its storage, another value."""


# A Torch table of tensors is a list here; tables nest.
NestedTensors = TensorReference | list["NestedTensors"]
NestedValues = ir.Value | list["NestedValues"]


class ValueStorage:
    """A tensor that fills its storage, which holds one ONNX value at a time."""

    contiguous = True

    def __init__(self, value: ir.Value) -> None:
        self._value = value

    def read(self) -> ir.Value:
        """The value it holds."""
        return self._value

    def write(self, value: ir.Value) -> None:
        """Replace the value."""
        self._value = value


class View:
    """A tensor that shows another tensor, its base, in another shape or in part.

    read_through: the value of the base -> the value of the view.
    write_through: (the value of the base, a new value of the view) -> the new value of the base.
    """

    def __init__(
        self,
        base: TensorReference,
        read_through: Callable[[ir.Value], ir.Value],
        write_through: Callable[[ir.Value, ir.Value], ir.Value],
        contiguous: bool,
    ) -> None:
        self.contiguous = contiguous
        self._base = base
        self._read_through = read_through
        self._write_through = write_through
        self._base_value = base.read()
        self._value = read_through(self._base_value)

    def read(self) -> ir.Value:
        """The value it shows now; computed again only if the base has changed."""
        base_value = self._base.read()
        if base_value is not self._base_value:
            self._base_value, self._value = base_value, self._read_through(base_value)
        return self._value

    def write(self, value: ir.Value) -> None:
        """Write to the base."""
        self._base.write(self._write_through(self._base.read(), value))


def read_values(tensors: NestedTensors) -> NestedValues:
    """The value of every tensor, nested alike."""
    return [read_values(item) for item in tensors] if isinstance(tensors, list) else tensors.read()


def flatten(tensors: NestedTensors) -> list[TensorReference]:
    """The tensors of a nested table, depth first."""
    return [leaf for item in tensors for leaf in flatten(item)] if isinstance(tensors, list) else [tensors]


def nest_like(nesting: object, tensors: list[NestedTensors]) -> NestedTensors:
    """Tensors in depth-first order as a table nested like `nesting`; a single tensor if that is no list."""
    remaining = iter(tensors)

    def build(part: object) -> NestedTensors:
        return [build(entry) for entry in part] if isinstance(part, list) else next(remaining)

    return build(nesting)
