"""Finds out which known file a file is, by whichever hashes are on record, in one pass over it.

The catalog is searched by size first. Only kinds of hashes that a known file of this size has, or one whose
size nobody recorded, are computed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import UsageError
from zoo.files import require_file
from zoo.store.digests import hash_file

if TYPE_CHECKING:
    from concurrent.futures import Future

    from zoo.catalog.catalog import Catalog
    from zoo.catalog.manifest import Manifest, ModelFile
    from zoo.store.cache import Cache

# A file is not hashed for one of unrecorded size that cannot be as large. No known model file has more bytes;
# of weights, a parameter takes at most 8 bytes, and as much for its gradient: here four times that, as nets
# for inference have fewer parameters than those that were trained.
MAX_UNSIZED_BYTES = 1 << 31
MAX_BYTES_PER_PARAMETER, MAX_OTHER_BYTES = 64, 1 << 24


@dataclass(frozen=True, slots=True)
class KnownContent:
    """Some content on record: the file of a model, or the archive in which it was published.

    name: empty if it is not on record. bytes: its size, None if it is not on record.
    hashes: kind to lower-case hex digest, may be empty.
    """

    file: ModelFile
    name: str
    bytes: int | None
    hashes: Mapping[str, str]
    is_archive: bool = False

    def may_have(self, size: int) -> bool:
        """Whether its size is, or may be, this one."""
        if self.bytes is not None:
            return self.bytes == size
        parameters = self.file.manifest.parameters if self.file.entry.role == "weights" else None
        if parameters is None or self.is_archive:
            return size <= MAX_UNSIZED_BYTES
        return size <= min(MAX_UNSIZED_BYTES, MAX_BYTES_PER_PARAMETER * parameters + MAX_OTHER_BYTES)

    def agrees(self, hashes: Mapping[str, str]) -> bool:
        """Whether content with these hashes is it: at least one of them agrees, and none differs."""
        common = self.hashes.keys() & hashes.keys()
        return bool(common) and all(self.hashes[kind] == hashes[kind] for kind in common)


@dataclass(frozen=True, slots=True)
class Recognition:
    """What is known of one file.

    bytes, hashes: its size, and the hashes that were computed.
    known_as: the files of models that have this content.
    archive_of: the files of models that were published in this archive.
    namesakes: if none of these, the contents on record under its name, which is not what it holds.
    """

    path: Path
    bytes: int
    hashes: Mapping[str, str]
    known_as: tuple[ModelFile, ...] = ()
    archive_of: tuple[ModelFile, ...] = ()
    namesakes: tuple[KnownContent, ...] = ()

    @property
    def is_known(self) -> bool:
        """Whether it is on record."""
        return bool(self.known_as or self.archive_of)


@dataclass
class Recognizer:
    """Recognizes files by the manifests of `catalog`, and by the records of first use of `cache`.

    The manifests are read when the first file is looked at. One that cannot be read affects no other:
    `unreadable` says what is wrong with it.
    """

    catalog: Catalog
    cache: Cache
    unreadable: list[str] = field(default_factory=list)

    def recognize(
        self,
        path: Path,
        also: Collection[str] = (),
        *,
        every_hash: bool = False,
        ahead: Mapping[str, Future[str]] | None = None,
    ) -> Recognition:
        """What is known of the file at `path`; see `recognize`. UsageError if it is not a file."""
        return recognize(path, self._known, also, every_hash=every_hash, ahead=ahead)

    def read_manifests(self) -> None:
        """Read the manifests now, not when the first file is looked at."""
        _ = self._known

    @cached_property
    def _known(self) -> Sequence[KnownContent]:
        return [known for manifest in self._manifests() for known in contents(manifest, self.cache)]

    def _manifests(self) -> Iterable[Manifest]:
        for name in self.catalog.names():
            try:
                yield self.catalog.get(name)
            except UsageError as error:
                self.unreadable.append(str(error))


def recognize(
    path: Path,
    on_record: Sequence[KnownContent],
    also: Collection[str] = (),
    *,
    every_hash: bool = False,
    ahead: Mapping[str, Future[str]] | None = None,
) -> Recognition:
    """What `on_record` tells of the file at `path`, which is read once, or not at all if no hash is needed.

    also: kinds of hashes to compute in any case.
    every_hash: compute every kind that is on record for a file of this size, not only as many as tell the
        files apart.
    ahead: the hashes of the file that are being computed already.
    UsageError if it is not a file.
    """
    require_file(path)
    size = path.stat().st_size
    candidates = [known for known in on_record if known.hashes and known.may_have(size)]
    hashes = hash_file(path, _needed(candidates, also, every_hash=every_hash), ahead)
    found = [known for known in candidates if known.agrees(hashes)]
    return Recognition(
        path,
        size,
        hashes,
        tuple(known.file for known in found if not known.is_archive),
        tuple(known.file for known in found if known.is_archive),
        () if found else _namesakes(path.name, on_record),
    )


def contents(manifest: Manifest, cache: Cache) -> list[KnownContent]:
    """What is on record of the files of a model and of their archives."""
    return [known for file in manifest.model_files() for known in _contents(file, cache)]


def _namesakes(name: str, on_record: Iterable[KnownContent]) -> tuple[KnownContent, ...]:
    """What is on record under this name; nothing if definitions of several nets have it."""
    found = [known for known in on_record if known.name == name and (known.hashes or known.bytes)]
    definitions = [known for known in found if known.file.entry.role == "definition"]
    nets = {known.file.manifest.architecture for known in definitions}
    return tuple(found) if len(nets) < 2 else ()


def _contents(file: ModelFile, cache: Cache) -> Iterable[KnownContent]:
    """What is on record of a file and of its archive; without a known hash, its first use counts."""
    entry = file.entry
    record = None if entry.hashes else cache.record(file)
    if record is None:
        yield KnownContent(file, file.name, entry.bytes, entry.hashes)
    else:
        yield KnownContent(file, file.name, record.digests.bytes, {"sha256": record.digests.sha256})
    if (archive := entry.archive) is not None:
        yield KnownContent(file, archive.name or "", archive.bytes, archive.hashes, is_archive=True)


def _needed(candidates: Sequence[KnownContent], also: Collection[str], *, every_hash: bool) -> set[str]:
    """The kinds to compute: `also`, and for each candidate one that it has, or all."""
    needed = set(also)
    # Those with the fewest kinds leave the least choice, so they come first.
    for known in sorted(candidates, key=lambda known: len(known.hashes)):
        if every_hash:
            needed |= known.hashes.keys()
        elif not needed & known.hashes.keys():
            needed.add(next(iter(known.hashes)))
    return needed
