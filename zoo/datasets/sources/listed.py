"""Image files named in a list, as Caffe's ImageData layer takes them: lines "PATH LABEL"."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from zoo.datasets.labels import read_list
from zoo.datasets.registry import register_source
from zoo.datasets.source import Files
from zoo.errors import DataError


@register_source
class Listed(Files):
    """The files that a list names, relative to the list's folder or absolute."""

    SUFFIXES = frozenset({".txt", ".list"})
    kind: ClassVar[str] = "list"
    description: ClassVar[str] = "a list of files"
    trial: ClassVar[int] = 20

    def __init__(self, path: Path) -> None:
        self._folder = path.parent
        self.labels_file = path
        listed = read_list(path)
        # A leading slash means an absolute path, or follows the root folder as for convert_imageset.
        candidates = {*listed, *(name.removeprefix("/") for name in listed)}
        self.names = frozenset(name for name in candidates if (self._folder / name).is_file())

    @classmethod
    def accepts(cls, path: Path) -> bool:
        """A file that is named as a list."""
        return path.is_file() and path.suffix.lower() in cls.SUFFIXES

    def read(self, name: str) -> bytes:
        """The content of a listed file."""
        try:
            return (self._folder / name).read_bytes()
        except OSError as error:
            raise DataError(f"{self._folder / name}: cannot be read: {error.strerror}") from error

    def close(self) -> None:
        """Nothing is kept open."""
