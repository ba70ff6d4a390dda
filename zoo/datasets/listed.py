"""Image files named in a list, as Caffe's ImageData layer takes them: lines "PATH LABEL"."""

from __future__ import annotations

from pathlib import Path

from zoo.datasets.labels import read_list
from zoo.errors import DataError


class Listed:
    """The files that a list names, relative to its own folder or absolute."""

    SUFFIXES = frozenset({".txt", ".list"})

    def __init__(self, path: Path) -> None:
        self._folder = path.parent
        listed = read_list(path)
        # A slash in front may make a path absolute, or follow the root folder as for convert_imageset.
        candidates = {*listed, *(name.removeprefix("/") for name in listed)}
        self.names = frozenset(name for name in candidates if (self._folder / name).is_file())

    @classmethod
    def accepts(cls, path: Path) -> bool:
        """Whether `path` is for this source."""
        return path.is_file() and path.suffix.lower() in cls.SUFFIXES

    def read(self, name: str) -> bytes:
        """The content of a listed file."""
        try:
            return (self._folder / name).read_bytes()
        except OSError as error:
            raise DataError(f"{self._folder / name}: cannot be read: {error.strerror}") from error

    def close(self) -> None:
        """Nothing is kept open."""
