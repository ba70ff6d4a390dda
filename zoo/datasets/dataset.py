"""Datasets: labelled images in a fixed order, read when they are needed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar, overload

if TYPE_CHECKING:
    from zoo.preprocessing.decode import Content, DecodedImages

T = TypeVar("T")
ReadTogether = Callable[[int, int], "DecodedImages | None"]


@dataclass(frozen=True, slots=True)
class Sample:
    """One image: its name in the dataset, its true class (from 0) and a function that reads its content."""

    id: str
    label: int
    read: Callable[[], Content]


class Samples(Sequence[Sample]):
    """The images of a dataset or a part of them, held as columns: a `Sample` is made when it is asked for.

    So a million images are two lists, which the garbage collector need not look through.
    """

    def __init__(
        self,
        names: Sequence[str],
        labels: Sequence[int],
        read: Callable[[int], Content],
        read_together: ReadTogether | None = None,
        places: range | None = None,
    ) -> None:
        """The images with these names and labels, at all places or at `places`.

        read: reads the image at a place.
        read_together: reads images from one place on, but not beyond another, at once
            (`Records.read_together`), for sources that hold them as pixels one after the other; None: each
            image is read alone.
        """
        self._names, self._labels = names, labels
        self._read, self._read_together = read, read_together
        self._places = range(len(names)) if places is None else places

    @classmethod
    def of(cls, samples: Iterable[Sample]) -> Self:
        """These samples, as columns."""
        if isinstance(samples, cls):
            return samples
        found = list(samples)
        names, labels = [sample.id for sample in found], [sample.label for sample in found]
        return cls(names, labels, lambda place: found[place].read())

    @property
    def names(self) -> Sequence[str]:
        """The name of each image."""
        return self._of(self._names)

    @property
    def labels(self) -> Sequence[int]:
        """The true class of each image."""
        return self._of(self._labels)

    @property
    def is_read_together(self) -> bool:
        """Whether the source can read several images at once."""
        return self._read_together is not None and self._places.step == 1

    def read_together(self) -> DecodedImages | None:
        """The first images at once, as many as the source reads at a time, or all of them.

        None if they must be read one by one, which then says why.

        converters.SourceChangedError if the source has changed since it was opened.
        """
        if self._read_together is None or not self.is_read_together or not self:
            return None
        return self._read_together(self._places.start, self._places.stop)

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, at: int) -> Sample: ...
    @overload
    def __getitem__(self, at: slice) -> Samples: ...
    def __getitem__(self, at: int | slice) -> Sample | Samples:
        if isinstance(at, slice):
            return Samples(self._names, self._labels, self._read, self._read_together, self._places[at])
        place = self._places[at]
        return Sample(self._names[place], self._labels[place], partial(self._read, place))

    def __iter__(self) -> Iterator[Sample]:
        return map(self.__getitem__, range(len(self)))

    def _of(self, column: Sequence[T]) -> Sequence[T]:
        all_places = range(len(column))
        return column if self._places == all_places else [column[place] for place in self._places]


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
    samples: Samples
    close: Callable[[], None] = field(default=lambda: None, repr=False)
    flavour: str | None = None
    label_order: str | None = None

    def __post_init__(self) -> None:
        # Any sequence of samples will do.
        object.__setattr__(self, "samples", Samples.of(self.samples))

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
