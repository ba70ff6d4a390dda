"""The content-addressed store of downloaded files, shared by all processes of a user.

    <root>/sha256/ab/<sha256>/<name>   the content, under the name it first came with
    <root>/index.json                  which content each model's file is, where it came from, all its hashes
    <root>/incoming/                   what is being written; only verified files leave it, by a rename
    <root>/locks/                      one lock per file of a model, one for the index

The index is also the record of first use: a file of which nothing was known beforehand is what came first,
and anything else that comes later under its name is an error.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from zoo.digests import Digests, differences
from zoo.errors import IntegrityError, UsageError

if TYPE_CHECKING:
    from filelock import BaseFileLock

    from zoo.manifest import File, Manifest, Role

Trust = Literal["pinned", "recorded", "unverified"]
INDEX_VERSION = 1


@dataclass(frozen=True, slots=True)
class Record:
    """What the index says of one file: its digests, where it came from, and when (ISO 8601, UTC)."""

    digests: Digests
    source: str
    added: str


class Cache:
    """The store below `root`, which is $DSD_ZOO_CACHE or the user's cache folder unless given."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = root if root is not None else _default_root()

    def find(self, manifest: Manifest, file: File) -> Path | None:
        """Where `file` lies, or None. A file that ships with the zoo lies beside its manifest.

        Only what matched the manifest when it was stored is found; the content is not read again
        (`dsd-zoo verify` does), its size is looked at.
        """
        if file.path is not None and (embedded := manifest.directory / file.path).is_file():
            return embedded
        record = self.record(manifest, file)
        if record is not None and not differences(file, record.digests):
            return self._content(record.digests.sha256, record.digests.bytes)
        return None if file.sha256 is None else self._content(file.sha256, file.bytes)

    def require(self, manifest: Manifest, role: Role) -> Path:
        """Where the file with this role lies. UsageError if the model has none, or it is not here yet."""
        file = manifest.file(role)
        if file is None:
            raise UsageError(f"{manifest.name}: no file of this model has the role '{role}'")
        path = self.find(manifest, file)
        if path is None:
            raise UsageError(
                f"{manifest.name}: {file.name} is not in the cache {self.root}\n"
                f"  run: dsd-zoo fetch {manifest.name}"
            )
        return path

    def record(self, manifest: Manifest, file: File) -> Record | None:
        """What the index says of `file`, or None if it never was stored."""
        entry = self._index().get(manifest.name, {}).get(file.name)
        if entry is None:
            return None
        return Record(Digests(**entry["digests"]), entry["source"], entry["added"])

    def trust(self, manifest: Manifest, file: File) -> Trust:
        """On what the identity of `file` rests: a hash known beforehand, the first use, or nothing yet."""
        if file.hashes:
            return "pinned"
        return "unverified" if self.record(manifest, file) is None else "recorded"

    def check(self, manifest: Manifest, file: File, digests: Digests) -> None:
        """IntegrityError unless `digests` are what the manifest, or else the first use, has on record."""
        if wrong := differences(file, digests):
            raise IntegrityError("not the file on record\n" + "\n".join(f"  {line}" for line in wrong))
        record = None if file.hashes else self.record(manifest, file)
        if record is not None and record.digests.sha256 != digests.sha256:
            raise IntegrityError(
                f"not the file that came at first use, on {record.added} from {record.source}\n"
                f"  sha256: expected {record.digests.sha256}, came {digests.sha256}\n"
                f"  if the new one is right: dsd-zoo add {manifest.name} FILE --replace"
            )

    @contextmanager
    def incoming(self) -> Iterator[Path]:
        """A new path to write to, on the same file system as the store; nothing stays there afterwards."""
        folder = self.root / "incoming"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{os.getpid()}-{secrets.token_hex(8)}.part"
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    def store(
        self,
        manifest: Manifest,
        file: File,
        written: Path,
        digests: Digests,
        source: str,
        *,
        replace: bool = False,
    ) -> Path:
        """Moves the complete file `written` (from `incoming`) in, and puts it on record.

        IntegrityError if it is not the file on record; `replace` accepts it as the new record of a file
        whose hash was not known beforehand, never of one that was.
        """
        if not (replace and not file.hashes):
            self.check(manifest, file, digests)
        target = self._place(digests.sha256) or self._folder(digests.sha256) / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        written.replace(target)
        _sync(target.parent)
        added = datetime.now(UTC).isoformat(timespec="seconds")
        self._put_on_record(manifest.name, file.name, Record(digests, source, added))
        return target

    def lock(self, manifest: Manifest, file: File) -> BaseFileLock:
        """Held by the one process that is bringing `file` in; another one waits, then finds it there."""
        return self._lock(f"{manifest.name}--{file.name}")

    def _content(self, sha256: str, size: int | None) -> Path | None:
        path = self._place(sha256)
        return path if path is not None and size in (None, path.stat().st_size) else None

    def _place(self, sha256: str) -> Path | None:
        """The one file with this content, under the name it first came with."""
        folder = self._folder(sha256)
        return next(iter(sorted(folder.iterdir())), None) if folder.is_dir() else None

    def _folder(self, sha256: str) -> Path:
        return self.root / "sha256" / sha256[:2] / sha256

    def _lock(self, name: str) -> BaseFileLock:
        from filelock import FileLock

        folder = self.root / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        return FileLock(folder / f"{name}.lock")

    def _index(self) -> dict[str, dict[str, Any]]:
        path = self.root / "index.json"
        try:
            index = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise UsageError(
                f"{path}: the index of the cache is damaged: {error}\n  delete it and fetch again"
            ) from error
        if index.get("schema_version") != INDEX_VERSION:
            raise UsageError(
                f"{path}: the index of the cache is of another version, {index.get('schema_version')}\n"
                f"  this dsd-zoo knows version {INDEX_VERSION}; set DSD_ZOO_CACHE to another folder"
            )
        models: dict[str, dict[str, Any]] = index["models"]
        return models

    def _put_on_record(self, model: str, name: str, record: Record) -> None:
        path = self.root / "index.json"
        with self._lock("index"), self.incoming() as written:
            models = self._index()
            models.setdefault(model, {})[name] = asdict(record)
            text = json.dumps({"schema_version": INDEX_VERSION, "models": models}, indent=2, sort_keys=True)
            with written.open("w", encoding="utf-8") as file:
                file.write(text + "\n")
                file.flush()
                os.fsync(file.fileno())
            written.replace(path)


def _default_root() -> Path:
    if given := os.environ.get("DSD_ZOO_CACHE"):
        return Path(given).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("dsd-zoo", appauthor=False)


def _sync(folder: Path) -> None:
    """Makes a rename in `folder` outlive a power cut, where the system can."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
