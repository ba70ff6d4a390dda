"""Images as files in a folder and its subfolders."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from zoo.errors import DataError


class Folder:
    """The files below a folder. Hidden ones are left out; links to folders are not followed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.names = frozenset(_below(str(path), ""))

    @staticmethod
    def accepts(path: Path) -> bool:
        """Whether `path` is for this source."""
        return path.is_dir()

    def read(self, name: str) -> bytes:
        """The content of a file below the folder."""
        try:
            return (self._path / name).read_bytes()
        except OSError as error:
            raise DataError(f"{self._path / name}: cannot be read: {error.strerror}") from error

    def close(self) -> None:
        """Nothing is kept open."""


def _below(folder: str, prefix: str) -> Iterator[str]:
    """Names relative to the first folder. os.scandir: 50,000 images take a tenth of a second."""
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    yield from _below(entry.path, f"{prefix}{entry.name}/")
                elif entry.is_file():
                    yield prefix + entry.name
    except OSError as error:
        raise DataError(f"{folder}: the folder cannot be read: {error.strerror}") from error
