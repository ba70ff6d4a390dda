"""What a source is: one kind of place that holds images.

A source has either files, for which a list or the names tell the labels (`Files`), or records that carry
their own labels (`Records`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

if TYPE_CHECKING:
    from zoo.preprocessing.decode import Content, DecodedImages


class ImageSource(ABC):
    """Opened images at one place, readable in any order and from several threads at once.

    A subclass is one kind of place.
    """

    kind: ClassVar[str]
    """How lists name the kind, without an article: "Caffe LMDB"."""
    description: ClassVar[str]
    """What `open_dataset` says that it expected: "a Caffe LMDB"."""
    trial: ClassVar[int] = 10
    """Sources are tried from the lowest number to the highest, those of one number in the order of `kind`.
    Lists name the highest number first."""

    @abstractmethod
    def __init__(self, path: Path) -> None:
        """Find the images at a path that the source accepts; DataError where the place is damaged."""

    @classmethod
    @abstractmethod
    def accepts(cls, path: Path) -> bool:
        """Whether this existing file or folder is a place of this kind."""

    @abstractmethod
    def close(self) -> None:
        """Close what is open."""


class Files(ImageSource):
    """A source of named files. Names are relative and use "/", as the place itself has them."""

    names: frozenset[str]
    """All regular files."""
    labels_file: Path | None = None
    """The list of labels, where the place is such a list."""

    @classmethod
    def is_indexed(cls, path: Path, indexes: Path) -> bool:
        """Whether `indexed` finds this place in `indexes`, so that it is one of this kind."""
        return False

    @classmethod
    def indexed(cls, path: Path, indexes: Path) -> Self:
        """The source, with what is slow to find out kept in the folder `indexes`; by default nothing is."""
        return cls(path)

    @abstractmethod
    def read(self, name: str) -> bytes:
        """The content of one of `names`. DataError if it cannot be read (any more)."""


@dataclass(frozen=True, slots=True)
class Record:
    """One image of a source that knows its labels: a unique name, and the class from 0."""

    name: str
    label: int


class Records(ImageSource):
    """A source of images that carry their labels, in a fixed order."""

    records: list[Record]
    """The images."""
    labels_source: str
    """Where the labels came from, in words."""
    flavour: str | None = None
    """The flavour that the images were packed with; None: the images suit any flavour."""
    is_read_together: ClassVar[bool] = False
    """Whether it has `read_together`."""

    @abstractmethod
    def read(self, index: int) -> Content:
        """The image of a record. DataError if it cannot be read."""

    def read_together(self, first: int, end: int) -> DecodedImages | None:
        """The images of the records from `first` on, up to, not including, `end`, in one read.

        They may be fewer, but not none: as many as stay in a processor's cache until they are used. For a
        source that holds images as pixels, one after the other: it can feed a GPU, where the work of Python
        on each image would be too much. None, as it is by default, if they must be read one by one: if one of
        them cannot be read, or they do not lie side by side.
        """
        return None
