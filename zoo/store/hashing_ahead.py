"""Hashes of large files, computed from the moment a command knows their names.

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
from zoo.store.recognition import MAX_UNSIZED_BYTES

# A smaller file is hashed in less time than a thread costs.
MIN_BYTES = 1 << 24


class HashesAhead:
    """Hashes of those of `arguments` that are large files, in a thread of its own from now on.

    They are the SHA-256, which every result records, and for weights the SHA-1, by which alone the catalog
    knows some files, whose size nobody recorded. The thread ends with the process, so that a command that
    fails does not wait for it.
    """

    def __init__(self, arguments: Sequence[str | os.PathLike[str]]) -> None:
        paths = [path for path in dict.fromkeys(map(Path, arguments)) if _is_large(path)]
        self._states = {path: FileState.of(path) for path in paths}
        self._hashes: dict[Path, dict[str, Future[str]]] = {
            path: {kind: Future() for kind in _kinds(path)} for path in paths
        }
        if paths:
            Thread(target=self._hash, name="hashing ahead", daemon=True).start()

    def state(self, path: Path) -> FileState:
        """What the file was before it was read for the first time."""
        return self._states.get(path) or FileState.of(path)

    def of(self, path: Path) -> Mapping[str, Future[str]]:
        """Kind to hex digest, or the error of reading the file; empty if it is not hashed ahead."""
        return self._hashes.get(path, {})

    def _hash(self) -> None:
        for path, wanted in self._hashes.items():
            try:
                found = hash_file(path, wanted.keys())
            except BaseException as error:  # raised where the hash is asked for
                for future in wanted.values():
                    future.set_exception(error)
            else:
                for kind, future in wanted.items():
                    future.set_result(found[kind])


def _kinds(path: Path) -> tuple[str, ...]:
    may_be_on_record = path.suffix not in (".onnx", ".py") and path.stat().st_size <= MAX_UNSIZED_BYTES
    return ("sha256", "sha1") if may_be_on_record else ("sha256",)


def _is_large(path: Path) -> bool:
    try:
        return path.is_file() and path.stat().st_size >= MIN_BYTES
    except OSError:  # whoever reads the file says what is wrong with it
        return False
