"""Bringing the files of a model into the cache, from the first source that delivers the right bytes."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.digests import Digests, Hasher, differences, digest_file
from zoo.download.http import open_http
from zoo.download.local import open_local
from zoo.download.stream import SourceError, Stream
from zoo.errors import FetchError, IntegrityError, UsageError

if TYPE_CHECKING:
    from zoo.cache import Cache
    from zoo.manifest import File, Manifest

Progress = Callable[[int, int | None], None]
"""Called with the bytes so far and the bytes in all, None where nobody knows."""

# What a file of this role is allowed to begin with, although it is no network.
_FORMATS = {"mean": b"\x93NUMPY", "recorded": b"PK\x03\x04"}


@dataclass(frozen=True, slots=True)
class Attempt:
    """One source that was tried, and what came of it."""

    url: str
    outcome: str


@dataclass(frozen=True, slots=True)
class Fetched:
    """Where a file lies now; `source` is the URL it came from, None if it was here already."""

    path: Path
    source: str | None
    failed: tuple[Attempt, ...] = ()


def fetch_file(
    manifest: Manifest, file: File, store: Cache, *, offline: bool = False, progress: Progress | None = None
) -> Fetched:
    """Brings `file` into `store` unless it is there.

    The sources are tried in order; `offline` skips those that need a network. Only bytes that agree
    with everything on record get into the store, by an atomic rename; a failed source leaves nothing.

    Raises:
        FetchError: no source delivered.
        IntegrityError: no source delivered the right file, and at least one delivered another one.
    """
    if (path := store.find(manifest, file)) is not None:
        return Fetched(path, None)
    with store.lock(manifest, file):
        # Another process may have brought it in while this one waited.
        if (path := store.find(manifest, file)) is not None:
            return Fetched(path, None)
        return _try_sources(manifest, file, store, offline, progress or _silent)


def add_file(
    manifest: Manifest, path: Path, store: Cache, *, name: str | None = None, replace: bool = False
) -> tuple[File, Path]:
    """Brings a file downloaded by hand into `store`; returns which file of the model it is, and where.

    `name` says which file is meant; without it the content decides, then the file's own name, then its
    ending. `replace` accepts a changed file of which nothing was known beforehand.

    Raises:
        UsageError: the file cannot be read, is no model file, or could be several files of the model.
        IntegrityError: it is not the file on record.
    """
    if not path.is_file():
        raise UsageError(f"{path}: no such file")
    file = _meant(manifest, path, name)
    try:
        with store.lock(manifest, file), store.incoming() as written:
            digests = _receive(open_local(path.resolve().as_uri()), file, written, _silent)
            stored = store.store(manifest, file, written, digests, path.resolve().as_uri(), replace=replace)
    except SourceError as error:
        raise UsageError(f"{path}: cannot be {file.name} of {manifest.name}: {error}") from error
    except IntegrityError as error:
        raise IntegrityError(f"{path}: for {file.name} of {manifest.name} this is {error}") from error
    return file, stored


def _meant(manifest: Manifest, path: Path, name: str | None) -> File:
    wanted = [file for file in manifest.files if file.path is None]
    if name is not None:
        matches = [file for file in wanted if file.name == name]
    else:
        digests = digest_file(path)
        matches = (
            [file for file in wanted if file.hashes and not differences(file, digests)]
            or [file for file in wanted if file.name == path.name]
            or [file for file in wanted if Path(file.name).suffix == path.suffix]
        )
    if len(matches) == 1:
        return matches[0]
    if not wanted:
        raise UsageError(f"{manifest.name}: all files of this model ship with the zoo; there is none to add")
    what = "no file of this model has that name" if name is not None else "which file of the model is this?"
    names = ", ".join(file.name for file in matches or wanted)
    raise UsageError(f"{path}: {what}\n  choose with --as NAME, one of: {names}")


def _silent(done: int, total: int | None) -> None:
    pass


def _try_sources(manifest: Manifest, file: File, store: Cache, offline: bool, progress: Progress) -> Fetched:
    failed: list[Attempt] = []
    wrong_bytes = False
    for url in file.urls:
        try:
            source = _open(url, offline)
            with store.incoming() as written:
                digests = _receive(source, file, written, progress)
                path = store.store(manifest, file, written, digests, url)
            return Fetched(path, url, tuple(failed))
        except SourceError as error:
            failed.append(Attempt(url, str(error)))
        except IntegrityError as error:
            failed.append(Attempt(url, str(error)))
            wrong_bytes = True
    kind = IntegrityError if wrong_bytes else FetchError
    raise kind(_advice(manifest, file, failed))


def _open(url: str, offline: bool) -> AbstractContextManager[Stream]:
    if url.startswith("file://"):
        return open_local(url)
    if offline:
        raise SourceError("not tried: --offline")
    return open_http(url)


def _receive(
    source: AbstractContextManager[Stream], file: File, written: Path, progress: Progress
) -> Digests:
    """Writes the stream to `written` and returns its digests; stops at the first byte too many."""
    with source as stream, written.open("xb") as target:
        head, chunks = _peek(stream.chunks)
        _refuse_foreign(file, head)
        if stream.size is not None and file.bytes not in (None, stream.size):
            raise IntegrityError(
                f"not the file on record\n  bytes: expected {file.bytes}, came {stream.size}"
            )
        expected = stream.size if file.bytes is None else file.bytes
        hasher = Hasher(expected)
        for chunk in chunks:
            hasher.update(chunk)
            if expected is not None and hasher.bytes > expected:
                raise IntegrityError(f"not the file on record\n  bytes: expected {expected}, more came")
            target.write(chunk)
            progress(hasher.bytes, expected)
        if expected is not None and hasher.bytes < expected:
            raise SourceError(f"broke off after {hasher.bytes} of {expected} bytes")
        target.flush()
        os.fsync(target.fileno())
    return hasher.finish(written)


def _peek(chunks: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """The first bytes, enough to recognise a format, and all the chunks again."""
    from converters.sniff import HEAD_BYTES

    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= HEAD_BYTES:
            break
    return head, itertools.chain([head], chunks)


def _refuse_foreign(file: File, head: bytes) -> None:
    from converters.sniff import foreign

    if not head:
        raise SourceError("delivered nothing")
    usual = _FORMATS.get(file.role)
    if (usual is None or not head.startswith(usual)) and (what := foreign(head)) is not None:
        raise SourceError(f"delivered {what}")


def _advice(manifest: Manifest, file: File, failed: list[Attempt]) -> str:
    known = [f"{file.bytes} bytes"] if file.bytes is not None else []
    known += [f"{kind} {digest}" for kind, digest in file.hashes.items()]
    lines = [f"{manifest.name}: no source delivered {file.name}"]
    for attempt in failed:
        first, *more = attempt.outcome.split("\n")
        lines += [f"  {attempt.url}", f"    {first}", *(f"    {line}" for line in more)]
    if not failed:
        lines.append("  no source is known")
    lines.append("  to get it by hand: download it with a browser, then run")
    lines.append(f"    dsd-zoo add {manifest.name} FILE")
    lines.append(f"  the right file has: {', '.join(known) or 'no size or hash on record'}")
    return "\n".join(lines)
