"""Image files named in a list, as Caffe's ImageData layer takes them: lines "PATH LABEL"."""

from __future__ import annotations

import os
from pathlib import Path
from typing import ClassVar

from zoo.datasets.labels import missing_images, read_list
from zoo.datasets.registry import register_source
from zoo.datasets.source import Files
from zoo.errors import DataError

# So many files are looked for, one by one, before a list is refused; a list may name a million.
MOST_MISSING = 1000
# A folder of which so many files are asked for is listed, once.
ASKED_BEFORE_LISTING = 32


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
        found, missing = set(), []
        is_there = _Present(self._folder)
        for name in listed:
            # A leading slash means an absolute path, or follows the root folder as for convert_imageset.
            candidates = {name, name.removeprefix("/")}
            there = {candidate for candidate in candidates if is_there(candidate)}
            found |= there
            if not there:
                missing.append(name)
            if len(missing) >= MOST_MISSING:
                raise missing_images(
                    str(path), str(path.parent), missing, f"at least {len(missing):,}", len(listed)
                )
        self.names = frozenset(found)

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


class _Present:
    """Whether files are there. A folder of which many are asked for is listed, which is much less work.

    os.path is several times as fast as pathlib, and a list may have a million names.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)
        self._asked: dict[str, int] = {}
        self._listed: dict[str, frozenset[str]] = {}

    def __call__(self, name: str) -> bool:
        """Whether `name`, relative to the folder or absolute, is a file or a link to one."""
        place, base = os.path.split(os.path.join(self._folder, name.rstrip("/")))  # noqa: PTH118
        if place not in self._listed:
            self._asked[place] = self._asked.get(place, 0) + 1
            if self._asked[place] == ASKED_BEFORE_LISTING:
                self._listed[place] = _files_in(place)
        # Not every file system tells names apart as a listing does: what is not listed is asked for.
        return base in self._listed.get(place, ()) or os.path.isfile(os.path.join(place, base))  # noqa: PTH113, PTH118


def _files_in(folder: str) -> frozenset[str]:
    try:
        with os.scandir(folder) as entries:
            return frozenset(entry.name for entry in entries if entry.is_file())
    except (OSError, ValueError):
        return frozenset()
