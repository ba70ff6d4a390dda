"""What a dataset is to the rest of the zoo: labelled images in a fixed order, each read when it is needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, Self

from zoo.preprocessing.decode import Content


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
class Record:
    """One image of a place that knows its labels: a name that no other has, and the class from 0."""

    name: str
    label: int


class Records(Protocol):
    """Images that carry their labels, in a fixed order, readable in any order and from several threads.

    `labels_source` says in words where the labels came from, `flavour` names the flavour that the images
    were packed with (None: any flavour can be made of them).
    """

    @property
    def records(self) -> Sequence[Record]:
        """The images."""
        ...

    @property
    def labels_source(self) -> str:
        """See above."""
        ...

    @property
    def flavour(self) -> str | None:
        """See above."""
        ...

    def read(self, index: int) -> Content:
        """The image of a record. DataError if it cannot be read."""
        ...

    def close(self) -> None:
        """Let go of what is open."""
        ...


@dataclass(frozen=True, slots=True)
class Sample:
    """One image: its name in the dataset, its true class (0-based) and how to get its content."""

    id: str
    label: int
    read: Callable[[], Content]


@dataclass(frozen=True)
class Dataset(AbstractContextManager["Dataset"]):
    """Labelled images in a fixed order.

    `name` is that of a dataset the zoo knows (`zoo.bundled.KNOWN_DATASETS`), where all images carry
    its names and labels, otherwise the folder's or file's own. `source` is where the images lie,
    `labels_source` says in words where the labels came from. `flavour` is what the images were packed
    with; None for images of which any flavour can be made.
    """

    name: str
    source: str
    labels_source: str
    items: tuple[Sample, ...]
    close: Callable[[], None] = field(default=lambda: None, repr=False)
    flavour: str | None = None

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Sample]:
        return iter(self.items)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
