"""The SHA-256 of the files that a net is read from: known, left out, or computed while the net is written."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Event
from types import TracebackType

from converters.errors import UsageError
from converters.report import Source
from converters.source_files import SourceFile
from converters.weights_record import hash_of


class SourceHashes:
    """The records of source files, hashed in a thread of its own from now on; leaving the block ends it.

    computed: whether to hash them; without it, their hashes are given to `sources`, or left out.
    A file that cannot be opened is an error of `sources`: whoever reads it says better what is wrong.
    """

    def __init__(self, paths: Sequence[Path], *, computed: bool) -> None:
        self._paths = paths
        self._is_ended = Event()
        self._hashes: Future[list[str]] | None = None
        regular = all(path.is_file() for path in paths)  # to open a pipe would wait for its other end
        try:
            self._files = [SourceFile(path) for path in paths] if regular else []
        except OSError:
            self._files = []
        if computed and self._files:
            pool = ThreadPoolExecutor(1, "hashing")
            self._hashes = pool.submit(lambda: [hash_of(file, self._is_ended) for file in self._files])
            pool.shutdown(wait=False)

    def __enter__(self) -> SourceHashes:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_ended.set()

    def sources(self, known: Sequence[str] | None = None) -> list[Source]:
        """Name, size and hash of each file; waits for hashes that are computed.

        known: the hashes, in order, where none are computed.
        SourceChangedError if a file has changed since it was opened here.
        """
        if len(self._files) != len(self._paths):
            names = ", ".join(map(str, self._paths))
            raise UsageError(f"{names}: cannot be read as regular files, which is needed to hash them")
        hashes: Sequence[str | None] | None = known if self._hashes is None else self._hashes.result()
        if hashes is None:
            hashes = [None] * len(self._files)
        if len(hashes) != len(self._files):
            raise UsageError(
                f"sha256 has {len(hashes)} hashes for {len(self._files)} files; give one for each, in their "
                "order"
            )
        for file in self._files:
            file.check()
        return [
            Source(file.path.name, file.state.size, sha256)
            for file, sha256 in zip(self._files, hashes, strict=True)
        ]
