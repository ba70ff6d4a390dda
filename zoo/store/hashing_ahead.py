"""SHA-256 of large files, computed from the moment a command knows their names.

Starting a command takes longer than hashing most files: half a second, to import what reads nets and
manifests. A second processor has nothing to do meanwhile.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from threading import Thread

from converters import FileState
from zoo.store.digests import hash_file

# A smaller file is hashed in less time than a thread costs.
MIN_BYTES = 1 << 24


class HashesAhead:
    """SHA-256 of those of `arguments` that are large files, in a thread of its own from now on.

    The thread ends with the process, so that a command that fails does not wait for it.
    """

    def __init__(self, arguments: Sequence[str | os.PathLike[str]]) -> None:
        paths = [path for path in dict.fromkeys(map(Path, arguments)) if _is_large(path)]
        self._states = {path: FileState.of(path) for path in paths}
        self._hashes: dict[Path, Future[str]] = {path: Future() for path in paths}
        if paths:
            Thread(target=self._hash, name="hashing ahead", daemon=True).start()

    def state(self, path: Path) -> FileState:
        """What the file was before it was read for the first time."""
        return self._states.get(path) or FileState.of(path)

    def of(self, path: Path) -> Mapping[str, Future[str]]:
        """Kind to hex digest, or the error of reading the file; empty if it is not hashed ahead."""
        return {"sha256": self._hashes[path]} if path in self._hashes else {}

    def _hash(self) -> None:
        for path, future in self._hashes.items():
            try:
                future.set_result(hash_file(path, ["sha256"])["sha256"])
            except BaseException as error:  # raised where the hash is asked for
                future.set_exception(error)


def _is_large(path: Path) -> bool:
    try:
        return path.is_file() and path.stat().st_size >= MIN_BYTES
    except OSError:  # whoever reads the file says what is wrong with it
        return False
