"""The bytes of one source that are already here, kept across runs so that the next try goes on from them.

    <key>.part   the bytes from the beginning on, under a name that no finished file has
    <key>.json   what the source called its content (its validators), to ask for the rest of the same content

The key stands for the source. Digests are computed while bytes come; of what an earlier run left they are
computed from the file, so they are always those of what lies on the disk.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from zoo.download.stream import Validators
from zoo.store.digests import Digests, Hasher, read_chunks

if TYPE_CHECKING:
    from zoo.catalog.file import File

KEY_DIGITS = 16


class Partial:
    """The open partial file of one source for one file of a model, in `folder`.

    What lies there is used only where a mix of two contents would be found: by the source's validators, or by
    a hash on record. `resumed` tells whether the bytes came in more than one answer.
    """

    def __init__(self, folder: Path, source: str, file: File) -> None:
        key = hashlib.sha256(source.encode()).hexdigest()[:KEY_DIGITS]
        self.path = folder / f"{key}.part"
        self._note = folder / f"{key}.json"
        self._size_on_record = file.bytes
        self._has_hashes = bool(file.hashes)
        self.validators = _read_validators(self._note)
        self.resumed = False
        self._hasher = self._new_hasher()

    def __enter__(self) -> Self:
        # Unbuffered: what was counted is in the file, whatever kills this process.
        self._file = self.path.open("ab", buffering=0)
        if self.validators.validator is None and not self._has_hashes:
            self.restart()
            return self
        for chunk in read_chunks(self.path):
            self._hasher.update(chunk)
        self.resumed = self.size > 0
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if not self.size:
            self.discard()

    @property
    def size(self) -> int:
        """How many bytes are here."""
        return self._hasher.bytes

    def head(self, count: int) -> bytes:
        """The first bytes, at most `count`."""
        with self.path.open("rb") as file:
            return file.read(count)

    def begin(self, start: int, validators: Validators) -> None:
        """Bytes of the content with this validators will come, from byte `start` on."""
        if start:
            self.resumed = True
            return
        if self.size:
            self.restart()
        self.validators = validators
        self._hasher = self._new_hasher()
        self._note.write_text(json.dumps(asdict(validators)), encoding="utf-8")

    def write(self, chunk: bytes) -> None:
        """Appends to what is here."""
        left = memoryview(chunk)
        while left:
            left = left[self._file.write(left) :]
        self._hasher.update(chunk)

    def finish(self) -> Digests:
        """The digests of all that is here, which is on the disk when this returns."""
        os.fsync(self._file.fileno())
        return self._hasher.finish(self.path)

    def restart(self) -> None:
        """Forgets what is here."""
        self._note.unlink(missing_ok=True)
        self._file.truncate(0)
        self.validators = Validators()
        self._hasher = self._new_hasher()
        self.resumed = False

    def discard(self) -> None:
        """Removes the files; the next run begins anew."""
        self._file.close()
        self._note.unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)

    def _new_hasher(self) -> Hasher:
        return Hasher(self.validators.size if self._size_on_record is None else self._size_on_record)


def _read_validators(note: Path) -> Validators:
    """The validators in `note`; one that says nothing if there is none, or a half-written one."""
    try:
        validators = Validators(**json.loads(note.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return Validators()
    texts = (validators.etag, validators.last_modified)
    sound = all(isinstance(text, str | None) for text in texts) and isinstance(validators.size, int | None)
    return validators if sound else Validators()
