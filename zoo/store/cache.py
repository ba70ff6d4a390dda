"""The content-addressed cache of downloaded files, shared by all processes of a user.

    <root>/sha256/ab/<sha256>/<name>   the content, under its first name
    <root>/index.json                  the content of each model's files, its source and all its hashes
    <root>/partial/<model>--<file>/    files being downloaded; a rename moves them out once they are verified
                                       (<model>--archive-<hash>/ for all files of one archive)
    <root>/locks/                      one lock per file of a model, one for the index

The user's lock file, the record of first use, lies outside the cache. If no hash of a file is known
beforehand, its first download is recorded there, and any other content is an error later, even after the
cache was emptied (trust on first use). Of a file that came in an archive with a known hash, the record has
the archive's digests too: then it is pinned.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from zoo.catalog.manifest import ModelFile
from zoo.errors import IntegrityError, UsageError
from zoo.store.digests import Digests, mismatches
from zoo.store.index import Index, IndexEntry

if TYPE_CHECKING:
    from zoo.catalog.file import Role
    from zoo.catalog.manifest import Manifest

# Enough digits of its hash to tell the archives of a model apart.
ARCHIVE_DIGITS = 16
Trust = Literal["pinned", "recorded", "unverified"]


class Cache:
    """The cache below `root`, by default $DSD_ZOO_CACHE or the user's cache folder.

    lock_file: the record of first use, by default $DSD_ZOO_LOCK or lock.json in the user's data folder.
    """

    def __init__(self, root: Path | None = None, lock_file: Path | None = None) -> None:
        self.root = root if root is not None else _default_root()
        lock_file = lock_file if lock_file is not None else _default_lock_file()
        index, locks = self.root / "index.json", self.root / "locks"
        self.index = Index(index, locks / "index.lock", "delete it and fetch again")
        self.first_use = Index(
            lock_file,
            lock_file.with_name(lock_file.name + ".busy"),
            "repair it, or delete it to trust the next download of each file",
        )

    def find(self, file: ModelFile) -> Path | None:
        """The path of `file`, or None. A file that ships with the zoo lies beside its manifest.

        A file was verified when it was added. Only its size is checked here; `dsd-zoo verify` reads it again.
        """
        if file.bundled_path is not None and file.bundled_path.is_file():
            return file.bundled_path
        record = self._known(file)
        if record is not None and not mismatches(file.entry, record.digests):
            return self._complete_path(record.digests.sha256, record.digests.bytes)
        return None if file.entry.sha256 is None else self._complete_path(file.entry.sha256, file.entry.bytes)

    def expected_sha256(self, file: ModelFile) -> str | None:
        """The sha256 of `file` when it was verified; None if it is not on record."""
        record = self._known(file)
        return file.entry.sha256 if file.entry.sha256 is not None or record is None else record.digests.sha256

    def require(self, manifest: Manifest, role: Role) -> Path:
        """The path of the file with this role. UsageError if there is none, or it is not in the cache."""
        file = manifest.file(role)
        if file is None:
            raise UsageError(f"{manifest.name}: no file of this model has the role '{role}'")
        path = self.find(ModelFile(manifest, file))
        if path is None:
            raise UsageError(
                f"{manifest.name}: {file.name} is not in the cache {self.root}\n"
                f"  run: dsd-zoo fetch {manifest.name}"
            )
        return path

    def sources(self, manifest: Manifest) -> list[Path]:
        """The paths of the converter's input, in its order. UsageError if one is not in the cache."""
        return [self.require(manifest, file.role) for file in manifest.source_files()]

    def record(self, file: ModelFile) -> IndexEntry | None:
        """The record of `file`: of its first use if no hash was known beforehand, else of the index."""
        index = self.index if file.hashes else self.first_use
        return index.get(file.model, file.name)

    def trust(self, file: ModelFile) -> Trust:
        """What identifies `file`: a hash known beforehand (its own, its archive's), first use, or nothing."""
        record = None if file.hashes else self.record(file)
        if record is None:
            return "pinned" if file.entry.trust == "pinned" else "unverified"
        return "pinned" if _is_from_archive(file, record.archive) else "recorded"

    def check(self, file: ModelFile, digests: Digests) -> None:
        """IntegrityError unless `digests` agree with the manifest, or else with the record of first use."""
        if wrong := mismatches(file.entry, digests):
            raise IntegrityError("not the file on record\n" + "\n".join(f"  {line}" for line in wrong))
        record = None if file.hashes else self.record(file)
        if record is not None and record.digests.sha256 != digests.sha256:
            hashes = f"  sha256: expected {record.digests.sha256}, came {digests.sha256}"
            if _is_from_archive(file, record.archive):
                raise IntegrityError(f"not the file that is in the archive on record\n{hashes}")
            raise IntegrityError(
                f"not the file that came at first use, on {record.added} from {record.source}\n{hashes}\n"
                f"  if the new one is right: dsd-zoo add {file.model} FILE --replace"
            )

    def may_be_replaced(self, file: ModelFile, archive: Digests | None = None) -> bool:
        """Whether `--replace` may put other content in the place of `file`: no hash known beforehand says no.

        archive: the digests of the archive that the other content was taken from.
        """
        if file.hashes:
            return False
        record = self.record(file)
        is_pinned = record is not None and _is_from_archive(file, record.archive)
        return not is_pinned or _is_from_archive(file, archive)

    def record_first_use(self, file: ModelFile) -> None:
        """Record as first use a file that the cache has already, from another user or by a copy."""
        record = self.index.get(file.model, file.name)
        if record is not None and not file.hashes and self.record(file) is None:
            self.first_use.put(file.model, file.name, record)

    def is_awaited(self, file: ModelFile) -> bool:
        """Whether the download that brought `file` is to bring another file of its model, as one archive."""
        others = [other for other in file.manifest.model_files() if other.name != file.name]
        name = _download_name(file)
        return any(_download_name(other) == name and self.find(other) is None for other in others)

    def is_in_progress(self, file: ModelFile) -> bool:
        """Whether a partial download of `file` exists, from an earlier run or of another process."""
        return self._partial(file).exists()

    @contextmanager
    def partial_folder(self, file: ModelFile) -> Iterator[Path]:
        """The folder for the partial download of `file`; created when needed, removed when empty.

        Only the holder of `lock` may use it. The next attempt resumes from what an attempt leaves there.
        """
        folder = self._partial(file)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            yield folder
        finally:
            # Fails if it is not empty: then there is something to resume.
            with suppress(OSError):
                folder.rmdir()

    def put(
        self,
        file: ModelFile,
        written: Path,
        digests: Digests,
        source: str,
        *,
        archive: Digests | None = None,
        added: str | None = None,
        replace: bool = False,
    ) -> Path:
        """Move the complete file `written` from `partial_folder` into the cache, and record it.

        archive: the digests of the archive that it was taken from; recorded if they are those on record.
        added: when it was first added (ISO 8601), by default now.
        replace: accept other content than at first use; a hash known beforehand must match all the same.

        Raises:
            IntegrityError: it is another file than the one on record.
        """
        if not (replace and self.may_be_replaced(file, archive)):
            self.check(file, digests)
        target = self._stored_path(digests.sha256) or self._folder(digests.sha256) / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        first = None if file.hashes else self.record(file)
        if not _is_from_archive(file, archive):
            # Without the archive at hand, the same bytes keep what is known of them.
            archive = first.archive if first is not None and first.digests == digests else None
        record = IndexEntry(
            digests, source, added or datetime.now(UTC).isoformat(timespec="seconds"), archive
        )
        # The rename comes last: if this process is killed before it, the next one repeats every step.
        self.index.put(file.model, file.name, record)
        if not file.hashes and (replace or first is None or first.archive != archive):
            self.first_use.put(file.model, file.name, record)
        written.replace(target)
        _sync(target.parent)
        return target

    def lock(self, file: ModelFile) -> Path:
        """The lock file of the process that downloads `file`; others wait for it, then find the file."""
        folder = self.root / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{_download_name(file)}.lock"

    def require_space(self, needed: int, what: str) -> None:
        """UsageError unless the disk of the cache has `needed` free bytes; `what` is named in the error."""
        place = next(folder for folder in (self.root, *self.root.parents) if folder.exists())
        free = shutil.disk_usage(place).free
        if needed > free:
            raise UsageError(
                f"{self.root}: no room for {what}: {needed:,} bytes are needed, {free:,} are free\n"
                "  free some, or set DSD_ZOO_CACHE to a folder on another disk"
            )

    def _known(self, file: ModelFile) -> IndexEntry | None:
        return self.record(file) or self.index.get(file.model, file.name)

    def _partial(self, file: ModelFile) -> Path:
        return self.root / "partial" / _download_name(file)

    def _complete_path(self, sha256: str, size: int | None) -> Path | None:
        path = self._stored_path(sha256)
        return path if path is not None and size in (None, path.stat().st_size) else None

    def _stored_path(self, sha256: str) -> Path | None:
        """The file with this content, under its first name; None if there is none."""
        folder = self._folder(sha256)
        return next(iter(sorted(folder.iterdir())), None) if folder.is_dir() else None

    def _folder(self, sha256: str) -> Path:
        return self.root / "sha256" / sha256[:2] / sha256


def _is_from_archive(file: ModelFile, archive: Digests | None) -> bool:
    """Whether the archive with these digests is the one that pins `file`."""
    known = file.entry.archive
    return (
        archive is not None
        and known is not None
        and file.entry.is_pinned_by_archive
        and not mismatches(known, archive)
    )


def _download_name(file: ModelFile) -> str:
    """The name of the download that brings `file`: one for all files of the model in one known archive."""
    archive = file.entry.archive
    if archive is None or not archive.hashes:
        return f"{file.model}--{file.name}"
    return f"{file.model}--archive-{next(iter(archive.hashes.values()))[:ARCHIVE_DIGITS]}"


def _default_root() -> Path:
    if given := os.environ.get("DSD_ZOO_CACHE"):
        return Path(given).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("dsd-zoo", appauthor=False)


def _default_lock_file() -> Path:
    if given := os.environ.get("DSD_ZOO_LOCK"):
        return Path(given).expanduser()
    from platformdirs import user_data_path

    return user_data_path("dsd-zoo", appauthor=False) / "lock.json"


def _sync(folder: Path) -> None:
    """Make a rename in `folder` durable, on systems that can."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
