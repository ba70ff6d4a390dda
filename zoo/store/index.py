"""A JSON file with a record of each model's files: the index of the cache, and the record of first use."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from zoo.errors import UsageError, excerpt
from zoo.files import parse_json
from zoo.store.digests import Digests

VERSION = 1
HEX_DIGITS = {"sha256": 64, "sha384": 96, "sha1": 40, "git_blob": 40}


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """The record of one file: its digests, its source, and when it was added (ISO 8601, UTC).

    archive: the digests of the archive that it was taken from, if that agreed with hashes known beforehand.
    """

    digests: Digests
    source: str
    added: str
    archive: Digests | None = None


class Index:
    """The records in the file `path`, which need not exist yet.

    A change is atomic for readers. Writers take turns by the lock file `mutex`; None if there is one writer
    only. `remedy` tells the user what to do if the file is damaged.
    """

    def __init__(self, path: Path, mutex: Path | None, remedy: str) -> None:
        self.path = path
        self._mutex = mutex
        self._remedy = remedy
        self._read: dict[str, dict[str, IndexEntry]] = {}
        self._read_version: tuple[int, ...] | None = None

    def get(self, model: str, name: str) -> IndexEntry | None:
        """The record of a model's file, or None. UsageError if the index cannot be read."""
        return self._models().get(model, {}).get(name)

    def put(self, model: str, name: str, record: IndexEntry) -> None:
        """Set the record of a model's file, and wait until the disk has it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._exclusive_access():
            models = self._models()
            models.setdefault(model, {})[name] = record
            # A killed writer leaves this file behind; the next one overwrites it.
            written = self.path.with_name(self.path.name + ".new")
            with written.open("w", encoding="utf-8") as file:
                json.dump(
                    {"schema_version": VERSION, "models": _as_json(models)}, file, indent=2, sort_keys=True
                )
                file.write("\n")
                file.flush()
                os.fsync(file.fileno())
            written.replace(self.path)

    def __iter__(self) -> Iterator[tuple[str, str, IndexEntry]]:
        """Model, file name and record of every entry."""
        for model, files in self._models().items():
            for name, record in files.items():
                yield model, name, record

    def _exclusive_access(self) -> AbstractContextManager[object]:
        if self._mutex is None:
            return nullcontext()
        from filelock import FileLock

        self._mutex.parent.mkdir(parents=True, exist_ok=True)
        return FileLock(self._mutex)

    def _models(self) -> dict[str, dict[str, IndexEntry]]:
        """The records by model and file name; the file is read again only if it is another one by now."""
        version = _version_of(self.path)
        if version is None or version != self._read_version:
            self._read, self._read_version = self._read_models(), version
        return {model: dict(files) for model, files in self._read.items()}

    def _read_models(self) -> dict[str, dict[str, IndexEntry]]:
        try:
            data = parse_json(self.path.read_text(encoding="utf-8"))
            version = data["schema_version"]
            if version == VERSION:
                return {
                    model: {name: _record(entry) for name, entry in files.items()}
                    for model, files in data["models"].items()
                }
        except FileNotFoundError:
            return {}
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            what = f"the file is damaged: {excerpt(repr(error))}"
            raise UsageError(f"{self.path}: {what}\n  {self._remedy}") from error
        came = excerpt(repr(version))
        raise UsageError(
            f"{self.path}: expected version {VERSION} of its format, came {came}\n  {self._remedy}"
        )


def _version_of(path: Path) -> tuple[int, ...] | None:
    """What changes whenever the file is replaced or written; None if there is no file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _record(entry: dict[str, Any]) -> IndexEntry:
    """The record in a JSON entry. ValueError, LookupError or TypeError if it is malformed."""
    archive = entry.get("archive")
    return IndexEntry(
        _digests(entry["digests"]),
        str(entry["source"]),
        str(entry["added"]),
        None if archive is None else _digests(archive),
    )


def _digests(entry: dict[str, Any]) -> Digests:
    digests = Digests(**entry)
    for kind, length in HEX_DIGITS.items():
        if not re.fullmatch(f"[0-9a-f]{{{length}}}", getattr(digests, kind)):
            raise ValueError(f"expected {length} hex digits for {kind}")
    if not isinstance(digests.bytes, int):
        raise TypeError("expected a whole number for bytes")
    return digests


def _as_json(models: dict[str, dict[str, IndexEntry]]) -> dict[str, dict[str, object]]:
    return {
        model: {name: _entry(record) for name, record in files.items()} for model, files in models.items()
    }


def _entry(record: IndexEntry) -> dict[str, object]:
    return {key: value for key, value in asdict(record).items() if value is not None}
