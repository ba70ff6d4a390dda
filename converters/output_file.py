"""Files in the making: bytes from memory, and pieces of other files, which the system copies itself.

What the system copies passes through no memory of this process. Where it cannot (another operating system,
two disks that do not know each other), the bytes go through a small buffer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from types import TracebackType
from typing import Protocol

from converters.source_files import SourceFile

# So many bytes are copied in one step; after each, the thread that hashes may go on.
_STEP_BYTES = 16 << 20
# Small pieces are collected up to this size.
_COLLECTED_BYTES = 1 << 16
_HASHED_AT_ONCE = 1 << 22


class Output(Protocol):
    """What `converters.tensor_file.write_array` writes to."""

    def write(self, data: memoryview | bytes) -> object:
        """Appends bytes."""

    def copy(self, source: SourceFile, offset: int, size: int) -> None:
        """Appends `size` bytes at `offset` of a file. SourceChangedError if they are not there any more."""


class OutputBytes:
    """Bytes in memory, for what is small."""

    def __init__(self) -> None:
        self.content = bytearray()

    def write(self, data: memoryview | bytes) -> None:
        """Appends bytes."""
        self.content += data

    def copy(self, source: SourceFile, offset: int, size: int) -> None:
        """Appends a piece of a file."""
        self.content += source.read(offset, size)


class OutputFile:
    """A new file at `path`, written from its beginning to its end.

    hashed: compute its SHA-256 too. A thread of its own reads what is written, so that it costs no more time
        than writing or hashing alone takes, whichever is slower.

    Raises OSError as writing does.
    """

    def __init__(self, path: Path, *, hashed: bool = False) -> None:
        self._file = path.open("wb", buffering=0)
        self._collected = bytearray()
        self._written = 0
        self._hashing = _FollowingHash(path) if hashed else None

    def __enter__(self) -> OutputFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._flush()
        finally:
            self._file.close()
            if self._hashing is not None:
                self._hashing.end(wait=kind is None)

    @property
    def size(self) -> int:
        """The bytes so far."""
        return self._written + len(self._collected)

    @property
    def sha256(self) -> str:
        """The SHA-256 of the whole file; after the `with` block, of a file that is hashed."""
        assert self._hashing is not None
        return self._hashing.digest()

    def write(self, data: memoryview | bytes) -> None:
        """Appends bytes."""
        if len(data) > _COLLECTED_BYTES:
            self._flush()
            self._write(data)
            return
        self._collected += data
        if len(self._collected) > _COLLECTED_BYTES:
            self._flush()

    def copy(self, source: SourceFile, offset: int, size: int) -> None:
        """Appends a piece of a file."""
        self._flush()
        for begin in range(offset, offset + size, _STEP_BYTES):
            step = min(_STEP_BYTES, offset + size - begin)
            source.copy_to(self._file, begin, step)
            self._advance(step)

    def _flush(self) -> None:
        self._write(self._collected)
        self._collected = bytearray()

    def _write(self, data: memoryview | bytes | bytearray) -> None:
        rest = memoryview(data)
        while rest:  # the system may take only a part
            count = self._file.write(rest[:_STEP_BYTES])
            self._advance(count)
            rest = rest[count:]

    def _advance(self, count: int) -> None:
        self._written += count
        if self._hashing is not None:
            self._hashing.advance(self._written)


class _FollowingHash:
    """The SHA-256 of a file that grows, computed in a thread behind its end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._digest = hashlib.sha256()
        self._ends: SimpleQueue[int | None] = SimpleQueue()
        self._problem: BaseException | None = None
        self._is_abandoned = False
        self._thread = Thread(target=self._run, name="hashing", daemon=True)
        self.advance: Callable[[int], None] = self._ends.put
        self._thread.start()

    def end(self, *, wait: bool) -> None:
        """Nothing more will be written. wait: until all is hashed; otherwise the hash is not wanted."""
        self._is_abandoned = not wait
        self._ends.put(None)
        self._thread.join()

    def digest(self) -> str:
        """The hash, in hex. Raises what reading raised."""
        if self._problem is not None:
            raise self._problem
        return self._digest.hexdigest()

    def _run(self) -> None:
        try:
            with self._path.open("rb", buffering=0) as file:
                buffer, hashed = memoryview(bytearray(_HASHED_AT_ONCE)), 0
                while (end := self._ends.get()) is not None:
                    while hashed < end and not self._is_abandoned:
                        count = file.readinto(buffer[: end - hashed])
                        if not count:
                            raise OSError(f"{self._path}: {hashed:,} bytes are there, of {end:,} written")
                        self._digest.update(buffer[:count])
                        hashed += count
        except BaseException as error:  # raised where the hash is asked for
            self._problem = error
