"""Datasets: labelled images in a fixed order, each read when it is needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from zoo.preprocessing.decode import Content


@dataclass(frozen=True, slots=True)
class Sample:
    """One image: its name in the dataset, its true class (from 0) and a function that reads its content."""

    id: str
    label: int
    read: Callable[[], Content]


@dataclass(frozen=True)
class Dataset(AbstractContextManager["Dataset"]):
    """Labelled images in a fixed order.

    `name` is that of a dataset that the zoo knows (`zoo.bundled.KNOWN_DATASETS`) if all images have names and
    labels of that dataset, otherwise that of the folder or file. `source` is where the images lie,
    `labels_source` says in words where the labels came from. `flavour` is the flavour that the images were
    packed with; None: the images suit any flavour. `label_order` is the name of the order that the labels
    count in (`zoo.bundled.LABEL_ORDERS`), where that is known.
    """

    name: str
    source: str
    labels_source: str
    samples: tuple[Sample, ...]
    close: Callable[[], None] = field(default=lambda: None, repr=False)
    flavour: str | None = None
    label_order: str | None = None

    def __len__(self) -> int:
        return len(self.samples)

    def __iter__(self) -> Iterator[Sample]:
        return iter(self.samples)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
