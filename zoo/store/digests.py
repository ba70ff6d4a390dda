"""Sizes and hashes of files: every kind that sources publish, computed in one pass."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import UsageError

if TYPE_CHECKING:
    from zoo.catalog.file import Identified

CHUNK_BYTES = 1 << 20
# Files are read in larger chunks: after each, a hash waits until other threads let Python go on.
READ_BYTES = 1 << 23
# Of a file that is hashed in several ways, so many chunks are in memory at once.
CHUNKS_AHEAD = 2


@dataclass(frozen=True, slots=True)
class Digests:
    """What identifies a file's content; the hashes are lower-case hex."""

    bytes: int
    sha256: str
    sha384: str
    sha1: str
    git_blob: str


class Hasher:
    """Digests of a stream. A git blob id hashes the size first, so the expected size is needed beforehand.

    If it is unknown or wrong, `finish` reads the written file again to compute the git blob id.
    """

    def __init__(self, expected_bytes: int | None) -> None:
        self.bytes = 0
        self._expected_bytes = expected_bytes
        self._sha256 = _hasher("sha256")
        self._sha384 = _hasher("sha384")
        self._sha1 = _hasher("sha1")
        self._git_blob = _git_blob_of(expected_bytes or 0)

    def update(self, chunk: bytes) -> None:
        """Hash the next bytes."""
        self.bytes += len(chunk)
        for digest in (self._sha256, self._sha384, self._sha1, self._git_blob):
            digest.update(chunk)

    def finish(self, written: Path) -> Digests:
        """The digests of all bytes so far; the file `written` holds the same bytes."""
        git_blob = self._git_blob
        if self.bytes != self._expected_bytes:
            git_blob = _git_blob_of(self.bytes)
            for chunk in read_chunks(written):
                git_blob.update(chunk)
        return Digests(
            bytes=self.bytes,
            sha256=self._sha256.hexdigest(),
            sha384=self._sha384.hexdigest(),
            sha1=self._sha1.hexdigest(),
            git_blob=git_blob.hexdigest(),
        )


def hash_file(
    path: Path, kinds: Collection[str], ahead: Mapping[str, Future[str]] | None = None
) -> dict[str, str]:
    """These kinds of hashes of the file at `path`, in one pass: kind to lower-case hex digest.

    kinds: of `zoo.catalog.file.HASH_KINDS`. If there are none, the file is not opened.
    ahead: those that are being computed already, which are waited for.
    """
    awaited = {kind: hashing for kind, hashing in (ahead or {}).items() if kind in kinds}
    found = _hash_now(path, set(kinds) - awaited.keys())
    return found | {kind: hashing.result() for kind, hashing in awaited.items()}


def _hash_now(path: Path, kinds: Collection[str]) -> dict[str, str]:
    if not kinds:
        return {}
    size = path.stat().st_size
    hashers = {kind: _git_blob_of(size) if kind == "git_blob" else _hasher(kind) for kind in sorted(kinds)}
    read = _hash_together(path, list(hashers.values()))
    if read != size:
        raise UsageError(
            f"{path}: had {size:,} bytes when it was opened, and {read:,} were read; "
            "it is being written: wait until that is done"
        )
    return {kind: hasher.hexdigest() for kind, hasher in hashers.items()}


def digest_file(path: Path) -> Digests:
    """The digests of the file at `path`."""
    hasher = Hasher(path.stat().st_size)
    for chunk in read_chunks(path):
        hasher.update(chunk)
    return hasher.finish(path)


def _hash_together(path: Path, hashers: Sequence[hashlib._Hash]) -> int:
    """Passes the content of a file to all `hashers`; returns how many bytes it had.

    hashlib lets other threads run meanwhile. Each hasher has a thread, so that none waits for another at
    every chunk, and the file is read once, a few chunks ahead of the slowest.
    """
    read = 0
    if len(hashers) == 1:
        for chunk in read_chunks(path):
            read += len(chunk)
            hashers[0].update(chunk)
        return read
    with ExitStack() as stack:
        pools = [stack.enter_context(ThreadPoolExecutor(1, "hashing")) for _ in hashers]
        under_way: deque[list[Future[None]]] = deque()
        for chunk in read_chunks(path):
            read += len(chunk)
            under_way.append(
                [pool.submit(hasher.update, chunk) for pool, hasher in zip(pools, hashers, strict=True)]
            )
            if len(under_way) > CHUNKS_AHEAD:
                wait(under_way.popleft())
    return read


def read_chunks(path: Path) -> Iterator[bytes]:
    """The content of `path` in chunks of at most READ_BYTES."""
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(READ_BYTES):
            yield chunk


def mismatches(known: Identified, digests: Digests) -> list[str]:
    """One line for each size or hash on record that `digests` does not match; empty if all do."""
    came = asdict(digests)
    on_record: dict[str, object] = {"bytes": known.bytes, **known.hashes}
    return [
        f"{kind}: expected {expected}, came {came[kind]}"
        for kind, expected in on_record.items()
        if expected is not None and came[kind] != expected
    ]


def _hasher(kind: str) -> hashlib._Hash:
    return hashlib.new(kind, usedforsecurity=False)


def _git_blob_of(size: int) -> hashlib._Hash:
    return hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
