"""What a .t7 file holds, as Python objects: tables, torch objects, tensors, functions.

Lua's nil, numbers, booleans and strings become None, float, bool and str. Everything else is one of the
classes below, compared by identity as in Lua, so shared references and cycles come out as they were written.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(eq=False, slots=True)
class Table:
    """A Lua table, its entries kept by the kind of their key."""

    fields: dict[str, Any] = field(default_factory=dict)
    numbered: dict[float, Any] = field(default_factory=dict)
    others: list[tuple[Any, Any]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.fields) + len(self.numbered) + len(self.others)

    def set(self, key: object, value: object) -> None:
        """table[key] = value."""
        if isinstance(key, str):
            self.fields[key] = value
        elif isinstance(key, float):
            self.numbered[key] = value
        else:
            self.others.append((key, value))

    def sequence(self) -> list[Any]:
        """The values at 1, 2, ... up to the first that is absent: what ipairs visits."""
        values: list[Any] = []
        while (value := self.numbered.get(len(values) + 1)) is not None:
            values.append(value)
        return values

    def at(self, key: object) -> Any:  # noqa: ANN401
        """The value under a key that is itself an object, found by identity; None if absent."""
        return next((value for known, value in self.others if known is key), None)

    def items(self) -> Iterator[tuple[Any, Any]]:
        """All (key, value) pairs, whole numbers as int."""
        yield from self.fields.items()
        for number, value in self.numbered.items():
            yield int(number) if float(number).is_integer() else number, value
        yield from self.others


@dataclass(eq=False, slots=True)
class TorchObject:
    """An object of a Torch class that is neither tensor nor storage.

    `version` is the class version the writer gave (0 in files from before class versions). `fields` is what
    the object stored of itself; empty for classes that store nothing.
    """

    class_name: str
    version: int
    fields: Table = field(default_factory=Table)


@dataclass(eq=False, slots=True)
class Storage:
    """A one-dimensional array that tensors are windows of; `array` is a view of the file."""

    class_name: str
    array: np.ndarray


@dataclass(eq=False, slots=True)
class Tensor:
    """A tensor; `array` is a view of its storage, of shape (0,) for a tensor without dimensions."""

    class_name: str
    array: np.ndarray
    storage: Storage | None


@dataclass(eq=False, slots=True)
class Function:
    """A Lua function: `size` bytes of bytecode at `offset` of the file, which nothing here ever runs."""

    offset: int
    size: int
