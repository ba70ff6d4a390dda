"""The contents of a .t7 file as Python objects: tables, torch objects, tensors, functions.

Lua's nil, numbers, booleans and strings become None, float, bool and str. Everything else is an object of a
class below. They compare by identity, as in Lua, so that shared references and cycles are kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(eq=False, slots=True)
class Table:
    """A Lua table: entries with string keys (`fields`), with number keys (`numbered`), and `others`."""

    fields: dict[str, Any] = field(default_factory=dict)
    numbered: dict[float, Any] = field(default_factory=dict)
    others: list[tuple[Any, Any]] = field(default_factory=list)
    # by id() of a key in `others`, which holds it: the first value
    _by_identity: dict[int, Any] = field(default_factory=dict, repr=False)

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
            self._by_identity.setdefault(id(key), value)

    def sequence(self) -> list[Any]:
        """The values at 1, 2, ... before the first that is absent: those that Lua's ipairs visits."""
        values: list[Any] = []
        while (value := self.numbered.get(len(values) + 1)) is not None:
            values.append(value)
        return values

    def by_identity(self, key: object) -> Any:  # noqa: ANN401
        """The value under a key that is an object, found by identity; None if absent."""
        return self._by_identity.get(id(key))

    def items(self) -> Iterator[tuple[Any, Any]]:
        """All (key, value) pairs, whole numbers as int."""
        yield from self.fields.items()
        for number, value in self.numbered.items():
            yield int(number) if float(number).is_integer() else number, value
        yield from self.others


@dataclass(eq=False, slots=True)
class TorchObject:
    """An object of a Torch class that is neither tensor nor storage.

    version: the class version in the file; 0 in files that are older than class versions.
    fields: what the object stored; empty for classes that store nothing.
    """

    class_name: str
    version: int
    fields: Table = field(default_factory=Table)


@dataclass(eq=False, slots=True)
class Storage:
    """A one-dimensional array that tensors are views of; `array` is a view of the file."""

    class_name: str
    array: np.ndarray


@dataclass(eq=False, slots=True)
class Tensor:
    """A tensor; `array` is a view of its storage, of shape (0,) for a tensor without dimensions."""

    class_name: str
    array: np.ndarray
    storage: Storage | None

    @property
    def is_expanded(self) -> bool:
        """Whether it shows elements of its storage several times, by strides of 0 or strides that overlap."""
        return self.storage is not None and self.array.size > self.storage.array.size


@dataclass(eq=False, slots=True)
class Function:
    """A Lua function: `size` bytes of bytecode at `offset` of the file. It is never run."""

    offset: int
    size: int
