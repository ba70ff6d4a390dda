"""Images as files in a folder and its subfolders."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar, Self

from zoo.datasets.folder_index import has_index, indexed_listing
from zoo.datasets.registry import register_source
from zoo.datasets.source import Files
from zoo.errors import DataError


@register_source
class Folder(Files):
    """The files below a folder, except hidden files and links that lead nowhere or to a folder above."""

    kind: ClassVar[str] = "folder"
    description: ClassVar[str] = "a folder of images"
    # Last: a folder may also be an LMDB or hold shards.
    trial: ClassVar[int] = 40

    def __init__(self, path: Path, indexes: Path | None = None) -> None:
        """`indexes`: where the listing is kept for the next time; None: nowhere."""
        self._path = path

        def listed() -> dict[str, list[str]]:
            return dict(_below(str(path), "", frozenset()))

        listing = listed() if indexes is None else indexed_listing(path, indexes, listed)
        self.names = frozenset(prefix + name for prefix, names in listing.items() for name in names)

    @classmethod
    def is_indexed(cls, path: Path, indexes: Path) -> bool:
        """Whether it was opened as a folder before, and has not changed since."""
        return path.is_dir() and has_index(path, indexes)

    @classmethod
    def indexed(cls, path: Path, indexes: Path) -> Self:
        """The folder; it is listed only if it has changed since it was opened with these indexes before."""
        return cls(path, indexes)

    @classmethod
    def accepts(cls, path: Path) -> bool:
        """Any folder."""
        return path.is_dir()

    def read(self, name: str) -> bytes:
        """The content of a file below the folder."""
        try:
            return (self._path / name).read_bytes()
        except OSError as error:
            raise DataError(f"{self._path / name}: cannot be read: {error.strerror}") from error

    def close(self) -> None:
        """Nothing is kept open."""


def _below(folder: str, prefix: str, above: frozenset[tuple[int, int]]) -> Iterator[tuple[str, list[str]]]:
    """For a folder and those below it, its prefix in names and the names of its files.

    above: device and inode of every folder that contains this one. os.scandir lists 50,000 images in a tenth
    of a second.
    """
    names: list[str] = []
    try:
        place = Path(folder).stat()
        here = above | {(place.st_dev, place.st_ino)}
        if here == above:
            return
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if _is(entry.is_dir):
                    yield from _below(entry.path, f"{prefix}{entry.name}/", here)
                elif _is(entry.is_file):
                    names.append(entry.name)
        yield prefix, names
    except OSError as error:
        raise DataError(f"{folder}: the folder cannot be read: {error.strerror}") from error


def _is(kind: Callable[[], bool]) -> bool:
    try:
        return kind()
    except OSError:  # a link that leads to itself
        return False
