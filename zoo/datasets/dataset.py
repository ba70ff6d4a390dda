"""What a dataset is to the rest of the zoo: labelled images in a fixed order, each read when it is needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, Self


class Files(Protocol):
    """Named files in one place, readable in any order and from several threads at once.

    Names are relative and use "/", as the place itself has them.
    """

    @property
    def names(self) -> frozenset[str]:
        """All regular files."""
        ...

    def read(self, name: str) -> bytes:
        """The content of one of `names`. DataError if it cannot be read (any more)."""
        ...

    def close(self) -> None:
        """Let go of what is open."""
        ...


@dataclass(frozen=True, slots=True)
class Item:
    """One image: its name in the dataset, its true class (0-based) and how to get the encoded bytes."""

    id: str
    label: int
    read: Callable[[], bytes]


@dataclass(frozen=True)
class Dataset(AbstractContextManager["Dataset"]):
    """Labelled images in a fixed order.

    `name` is that of a dataset the zoo knows ("ilsvrc2012-val", "digits-test"), where all images carry
    its names and labels, otherwise the folder's or file's own. `source` is where the images lie,
    `labels_source` says in words where the labels came from.
    """

    name: str
    source: str
    labels_source: str
    items: tuple[Item, ...]
    close: Callable[[], None] = field(default=lambda: None, repr=False)

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Item]:
        return iter(self.items)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
