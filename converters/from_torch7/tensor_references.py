"""Tensors as Torch passes them around: objects that point at storage, which other tensors may share.

ONNX values never change; Torch tensors do, in two ways. After an in-place ReLU, everything that shares the
storage shows the new numbers. And a tensor can be pointed at other storage (Torch's `set`, `view`): a module
that works in place, or that returns a view, has one output tensor, which each run points at that run's input.
So modules are handed tensor objects (`TensorReference`) instead of values. Reading one gives the ONNX value
that it has now. Modules point tensors at areas of storage: whole ones (`_Storage`) and views (`_ViewArea`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Protocol

import onnx_ir as ir

from converters.errors import LimitError, UnsupportedError
from converters.sizes import Shape, Symbol, dims

# How many views values may pass on their way to and from one storage; each takes some microseconds.
MAX_STEPS = 100_000

# The distance of neighbours along a dimension: a number times sizes that are open.
Stride = tuple[int, tuple[str, ...]]


@dataclass(frozen=True)
class Entry:
    """The part of a tensor of this shape that is one entry of the dimension `axis`, which it loses."""

    axis: int
    shape: Shape
    index: int

    def strides(self, base: tuple[Stride, ...]) -> tuple[Stride, ...]:
        """The strides of the entry."""
        place = len(longer(self.shape[: self.axis]))
        return base if self.shape[self.axis] == 1 else base[:place] + base[place + 1 :]


@dataclass(frozen=True)
class Copies:
    """A tensor of this shape shown `count` times along a new dimension `axis`."""

    axis: int
    shape: Shape
    count: int

    def strides(self, base: tuple[Stride, ...]) -> tuple[Stride, ...]:
        """The strides of the copies: 0 along the new dimension."""
        place = len(longer(self.shape[: self.axis]))
        return base if self.count == 1 else (*base[:place], (0, ()), *base[place:])


# What a view shows of its base; None for all elements in the same order.
Part = Entry | Copies | None


def longer(shape: Shape) -> Shape:
    """The sizes other than 1, the only ones whose strides matter."""
    return tuple(size for size in shape if size != 1)


def gapless_strides(shape: Shape) -> tuple[Stride, ...]:
    """The strides of a tensor whose elements lie in order and without gaps, where the size is not 1."""
    strides: list[Stride] = []
    number, names = 1, list[str]()
    for size in reversed(longer(shape)):
        strides.insert(0, (number, tuple(sorted(names))))
        if isinstance(size, Symbol):
            number, names = number * size.factor, [*names, size.name]
        else:
            number *= size
    return tuple(strides)


class Area(Protocol):
    """What a tensor points at: a storage, or a part of one, with a shape.

    strides: of the dimensions whose size is not 1.
    storage: where its elements lie. parts: which of them, from the storage inwards; () for all in order.
    """

    @property
    def strides(self) -> tuple[Stride, ...]:
        """See above."""

    @property
    def storage(self) -> _Storage:
        """See above."""

    @property
    def parts(self) -> tuple[Entry | Copies, ...]:
        """See above."""

    def read(self) -> ir.Value:
        """The value that it holds now."""

    def write(self, value: ir.Value) -> None:
        """Give it another value of the same shape."""


class _Storage:
    """A storage, which holds one ONNX value at a time."""

    parts: tuple[Entry | Copies, ...] = ()

    def __init__(self, value: ir.Value) -> None:
        self._value = value
        self._outdated = False
        # counts the values it has had
        self.version = 0
        self._steps = 0

    @property
    def storage(self) -> _Storage:
        return self

    @property
    def strides(self) -> tuple[Stride, ...]:
        return gapless_strides(dims(self._value))

    def read(self) -> ir.Value:
        self.check_current()
        return self._value

    def write(self, value: ir.Value) -> None:
        self._value = value
        self.version += 1

    def check_current(self) -> None:
        """UnsupportedError if it must not be read any more."""
        if self._outdated:
            raise UnsupportedError(
                "it reads the output of an earlier run of a module object that has since run "
                "again and left other numbers in that memory; give each place a module object of its own"
            )

    def count_step(self) -> None:
        """Count a view on the way of a value to or from the storage; LimitError for too many."""
        self._steps += 1
        if self._steps > MAX_STEPS:
            raise LimitError(
                f"modules in place change views of views more than {MAX_STEPS:,} times: give the net fewer "
                "of them in a row"
            )

    def mark_outdated(self) -> None:
        """Refuse to be read from now on: a tensor of another shape has overwritten it."""
        self._outdated = True


class _ViewArea:
    """An area that shows another area, its base, in another shape or in part; see `View`."""

    def __init__(
        self,
        base: Area,
        read_through: Callable[[ir.Value], ir.Value],
        write_through: Callable[[ir.Value, ir.Value], ir.Value],
        part: Part,
    ) -> None:
        self.storage = base.storage
        self.parts = base.parts if part is None else (*base.parts, part)
        self._base = base
        self._read_through = read_through
        self._write_through = write_through
        self._base_value = base.read()
        self._version = self.storage.version
        self._value = read_through(self._base_value)
        if part is not None:
            self.strides = part.strides(base.strides)
        elif base.strides == gapless_strides(dims(self._base_value)):
            self.strides = gapless_strides(dims(self._value))
        else:
            self.strides = base.strides  # only sizes of 1 were added or removed

    def read(self) -> ir.Value:
        """The value it shows now; computed again only if the base has changed.

        A view can have thousands of other views below it, so this is a loop and no recursion.
        """
        self.storage.check_current()
        stale: list[_ViewArea] = []
        area: Area = self
        while isinstance(area, _ViewArea) and area._version != self.storage.version:
            self.storage.count_step()
            stale.append(area)
            area = area._base
        value = area._value if isinstance(area, _ViewArea) else area.read()
        for view in reversed(stale):
            if value is not view._base_value:
                view._base_value, view._value = value, view._read_through(value)
            view._version = self.storage.version
            value = view._value
        return value

    def write(self, value: ir.Value) -> None:
        area: Area = self
        while isinstance(area, _ViewArea):
            self.storage.count_step()
            value = area._write_through(area._base.read(), value)
            area = area._base
        area.write(value)


class TensorReference:
    """A tensor object. Several may point at one area, and each can be pointed at another."""

    def __init__(self, area: Area) -> None:
        self.area = area

    @property
    def contiguous(self) -> bool:
        """Whether its elements lie in its storage in order and without gaps."""
        return self.area.strides == gapless_strides(dims(self.area.read()))

    def read(self) -> ir.Value:
        """The value that the tensor has now."""
        return self.area.read()

    def write(self, value: ir.Value) -> None:
        """Give the tensor, and all that share its storage, another value of the same shape."""
        self.area.write(value)

    def set(self, other: TensorReference) -> None:
        """Point this tensor at what the other points at."""
        self.area = other.area

    def resize_and_write(self, value: ir.Value) -> None:
        """Give the tensor a value of any shape (Torch's resize and copy), in the storage it points at.

        Other tensors over the same storage would then show parts of other numbers: reading them is refused.
        """
        storage = self.area.storage
        if dims(self.area.read()) == dims(value):
            self.area.write(value)
        elif not self.area.parts and dims(storage.read()) == dims(value):
            storage.write(value)
            self.area = storage
        else:
            storage.mark_outdated()
            self.area = _Storage(value)


class ValueStorage(TensorReference):
    """A new tensor that fills a storage of its own."""

    def __init__(self, value: ir.Value) -> None:
        super().__init__(_Storage(value))


class View(TensorReference):
    """A new tensor that shows what another tensor points at now, the base, in another shape or in part.

    read_through: the value of the base -> the value of the view.
    write_through: (the value of the base, a new value of the view) -> the new value of the base.
    part: what it shows; a base with gaps is shown in the same shape but for sizes of 1.
    """

    def __init__(
        self,
        base: TensorReference,
        read_through: Callable[[ir.Value], ir.Value],
        write_through: Callable[[ir.Value, ir.Value], ir.Value],
        part: Part = None,
    ) -> None:
        super().__init__(_ViewArea(base.area, read_through, write_through, part))


class Overlap(Enum):
    """How the elements of two tensors lie to each other."""

    NONE = auto()
    SAME = auto()  # the same elements in the same order
    OTHER = auto()  # some are shared, or nothing is known


def overlap(a: TensorReference, b: TensorReference) -> Overlap:
    """Which elements two tensors share."""
    if a.area.storage is not b.area.storage:
        return Overlap.NONE
    for one, other in zip(a.area.parts, b.area.parts, strict=False):
        if one != other:
            apart = (
                isinstance(one, Entry)
                and isinstance(other, Entry)
                and replace(one, index=0) == replace(other, index=0)
            )
            return Overlap.NONE if apart else Overlap.OTHER
    return Overlap.SAME if a.area.parts == b.area.parts else Overlap.OTHER


# A Torch table of tensors is a list here; tables nest.
NestedTensors = TensorReference | list["NestedTensors"]
NestedValues = ir.Value | list["NestedValues"]


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
