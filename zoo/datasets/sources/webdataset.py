"""WebDataset shards: tars in which the files of one sample share their name up to the first dot.

A sample is an image and a member `.cls` with its label in decimal, as in `n01440764_18.jpg` and
`n01440764_18.cls`; other members are ignored.
"""

from __future__ import annotations

import itertools
import tarfile
from pathlib import Path, PurePosixPath
from typing import ClassVar

from zoo.datasets.labels import IMAGE_SUFFIXES
from zoo.datasets.registry import register_source
from zoo.datasets.source import Record, Records
from zoo.datasets.sources.tar import DAMAGED, Tar
from zoo.errors import DataError, excerpt

LABEL_SUFFIX = ".cls"
# Members read to tell shards from a plain tar of images: a sample has a few members.
MEMBERS_READ = 16


@register_source
class WebDataset(Records):
    """One shard, or all shards (*.tar) in a folder by name. Images are read in place."""

    kind: ClassVar[str] = "WebDataset shards"
    description: ClassVar[str] = "WebDataset shards"
    labels_source = "the shards' .cls members"

    def __init__(self, path: Path) -> None:
        shards = _shards(path) if path.is_dir() else [path]
        self._tars = [Tar(shard) for shard in shards]
        self._locations: list[tuple[Tar, str]] = []
        self.records = []
        seen: dict[str, Path] = {}
        for shard, tar in zip(shards, self._tars, strict=True):
            for name, label in _samples(tar, shard):
                if name in seen:
                    raise DataError(f"{shard}: holds {excerpt(name)}, and so does {seen[name]}")
                seen[name] = shard
                self._locations.append((tar, name))
                self.records.append(Record(name, label))

    @classmethod
    def accepts(cls, path: Path) -> bool:
        """A tar, or a folder whose first tar, has labels among its first members."""
        shards = _shards(path) if path.is_dir() else [path]
        if not shards or not Tar.accepts(shards[0]):
            return False
        try:
            with tarfile.open(shards[0], "r:") as archive:
                names = [member.name for member in itertools.islice(archive, MEMBERS_READ)]
        except DAMAGED:
            return False
        return any(_split(name)[1] == LABEL_SUFFIX for name in names)

    def read(self, index: int) -> bytes:
        """The encoded image of a sample."""
        tar, name = self._locations[index]
        return tar.read(name)

    def close(self) -> None:
        """Close the shards."""
        for tar in self._tars:
            tar.close()


def _shards(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.tar") if not path.name.startswith("."))


def _samples(tar: Tar, shard: Path) -> list[tuple[str, int]]:
    """Image members with their labels, in the order of their keys."""
    images: dict[str, str] = {}
    labels: dict[str, str] = {}
    for name in sorted(tar.names):
        key, suffix = _split(name)
        if suffix == LABEL_SUFFIX:
            labels[key] = name
        elif suffix in IMAGE_SUFFIXES and images.setdefault(key, name) != name:
            raise DataError(
                f"{shard}: sample {excerpt(key)} has two images, {excerpt(images[key])} and {excerpt(name)}"
            )
    if missing := [name for key, name in images.items() if key not in labels]:
        raise DataError(
            f"{shard}: {len(missing)} images have no label ({LABEL_SUFFIX}), such as {excerpt(missing[0])}"
        )
    return [(name, _label(tar.read(labels[key]), labels[key], shard)) for key, name in images.items()]


def _split(name: str) -> tuple[str, str]:
    """`a/b.seg.png` as (`a/b`, `.seg.png`): WebDataset splits at the first dot of the last part."""
    path = PurePosixPath(name)
    base, dot, suffix = path.name.partition(".")
    return str(path.with_name(base)) if base else name, (dot + suffix).lower()


def _label(content: bytes, name: str, shard: Path) -> int:
    text = content.strip()
    if not text.isdigit() or len(text) > 9:
        raise DataError(f"{shard}: {excerpt(name)}: expected a class number from 0, came {content[:20]!r}")
    return int(text)
