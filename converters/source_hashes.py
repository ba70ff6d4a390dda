"""The SHA-256 of the files that a net is read from: known, left out, or computed while the net is written."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Event
from types import TracebackType

from converters.errors import UsageError
from converters.kept_sources import KeptSources
from converters.report import Source
from converters.source_files import FileState

# After each chunk a hash waits until other threads let Python go on.
_CHUNK_BYTES = 1 << 22


class SourceHashes:
    """The records of source files, hashed in a thread of its own from now on; leaving the block ends it.

    kept: opens the files, and keeps their hashes for the next call.
    computed: whether to hash them; without it, their hashes are given to `sources`, or left out.
    A file that cannot be opened is an error of `sources`: whoever reads it says better what is wrong.
    """

    def __init__(self, paths: Sequence[Path], kept: KeptSources, *, computed: bool) -> None:
        self._paths, self._kept = paths, kept
        self._is_ended = Event()
        self._states: list[FileState] = []
        self._hashes: list[Future[str]] = []
        if not all(path.is_file() for path in paths):  # to open a pipe would wait for its other end
            return
        self._states = [kept.state(path) for path in paths]
        if computed:
            pool = ThreadPoolExecutor(1, "hashing")
            self._hashes = [
                kept.get(("sha256", path), partial(pool.submit, _sha256, path, self._is_ended))
                for path in paths
            ]
            pool.shutdown(wait=False)

    def __enter__(self) -> SourceHashes:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._kept.for_one_call:
            self._is_ended.set()

    def sources(self, known: Sequence[str] | None = None) -> list[Source]:
        """Name, size and hash of each file; waits for hashes that are computed.

        known: the hashes, in order, where none are computed.
        SourceChangedError if a file has changed since its state was kept.
        """
        if len(self._states) != len(self._paths):
            names = ", ".join(map(str, self._paths))
            raise UsageError(f"{names}: cannot be read as regular files, which is needed to hash them")
        hashes: Sequence[str | None] = [None] * len(self._states) if known is None else known
        if self._hashes:
            hashes = [hashing.result() for hashing in self._hashes]
        if len(hashes) != len(self._states):
            raise UsageError(
                f"sha256 has {len(hashes)} hashes for {len(self._states)} files; give one for each, in their "
                "order"
            )
        for state in self._states:
            state.check()
        return [
            Source(state.path.name, state.size, sha256)
            for state, sha256 in zip(self._states, hashes, strict=True)
        ]


def _sha256(path: Path, is_ended: Event) -> str:
    """The hash of a file, as long as it is wanted; what is returned after that is none."""
    digest, buffer = hashlib.sha256(), memoryview(bytearray(_CHUNK_BYTES))
    try:
        with path.open("rb", buffering=0) as file:
            while not is_ended.is_set() and (count := file.readinto(buffer)):
                digest.update(buffer[:count])
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
    return digest.hexdigest()
