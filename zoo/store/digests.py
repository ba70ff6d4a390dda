"""Sizes and hashes of files: every kind that sources publish, computed in one pass."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoo.catalog.file import File

CHUNK_BYTES = 1 << 20


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
        self._sha256 = hashlib.sha256()
        self._sha384 = hashlib.sha384()
        self._sha1 = hashlib.sha1(usedforsecurity=False)
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


def digest_file(path: Path) -> Digests:
    """The digests of the file at `path`."""
    hasher = Hasher(path.stat().st_size)
    for chunk in read_chunks(path):
        hasher.update(chunk)
    return hasher.finish(path)


def read_chunks(path: Path) -> Iterator[bytes]:
    """The content of `path` in chunks of at most CHUNK_BYTES."""
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


def mismatches(file: File, digests: Digests) -> list[str]:
    """One line for each size or hash in the manifest that `digests` does not match; empty if all do."""
    came = asdict(digests)
    known: dict[str, object] = {"bytes": file.bytes, **file.hashes}
    return [
        f"{kind}: expected {expected}, came {came[kind]}"
        for kind, expected in known.items()
        if expected is not None and came[kind] != expected
    ]


def _git_blob_of(size: int) -> hashlib._Hash:
    return hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
