"""Partial downloads, kept across runs so that the next attempt resumes them.

    <key>.part   the first bytes of the content; no finished file has such a name
    <key>.json   the validators of the content, to request the rest of the same content

The key identifies the source. Digests are computed while bytes arrive. For bytes of an earlier run they are
computed from the file, so they are always those of the bytes on the disk.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from zoo.download.content import HEAD_BYTES, archive_kind
from zoo.download.stream import Validators
from zoo.files import parse_json
from zoo.store.digests import Digests, Hasher, read_chunks

if TYPE_CHECKING:
    from zoo.catalog.file import File

KEY_DIGITS = 16


class Partial:
    """The open partial download of one file of a model from one source, in `folder`.

    Bytes of an earlier run are used only if a mix of two contents would be noticed: by the validators of the
    source, or by a hash on record. `resumed` tells whether the bytes came in more than one response.
    """

    def __init__(self, folder: Path, source: str, file: File) -> None:
        key = hashlib.sha256(source.encode()).hexdigest()[:KEY_DIGITS]
        self.path = folder / f"{key}.part"
        self._validators_file = folder / f"{key}.json"
        self._size_on_record = file.bytes
        self._file_on_record = file
        self.validators = _read_validators(self._validators_file)
        self.resumed = False
        self._hasher = self._new_hasher()

    def __enter__(self) -> Self:
        # Unbuffered: the file has every byte that was counted, even if this process is killed.
        self._file = self.path.open("ab", buffering=0)
        if self.validators.validator is None and not self._is_pinned():
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
        """The number of bytes so far."""
        return self._hasher.bytes

    def head(self, count: int) -> bytes:
        """The first bytes, at most `count`."""
        with self.path.open("rb") as file:
            return file.read(count)

    def begin(self, start: int, validators: Validators) -> None:
        """Prepare for the content with these validators, from byte `start` on."""
        if start:
            self.resumed = True
            return
        if self.size:
            self.restart()
        self.validators = validators
        self._hasher = self._new_hasher()
        self._validators_file.write_text(json.dumps(asdict(validators)), encoding="utf-8")

    def write(self, chunk: bytes) -> None:
        """Append `chunk` to the file."""
        left = memoryview(chunk)
        while left:
            left = left[self._file.write(left) :]
        self._hasher.update(chunk)

    def finish(self) -> Digests:
        """The digests of all bytes, after the disk has them."""
        os.fsync(self._file.fileno())
        return self._hasher.finish(self.path)

    def restart(self) -> None:
        """Discard all bytes; the file stays open."""
        self._validators_file.unlink(missing_ok=True)
        self._file.truncate(0)
        self.validators = Validators()
        self._hasher = self._new_hasher()
        self.resumed = False

    def discard(self) -> None:
        """Close and delete the files; the next run starts over."""
        self._file.close()
        self._validators_file.unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)

    def _is_pinned(self) -> bool:
        """Whether a hash is on record of what arrives: of the file, or of the archive if it is one."""
        file = self._file_on_record
        in_archive = file.archive is not None and archive_kind(self.head(HEAD_BYTES)) is not None
        return bool(file.hashes or (in_archive and file.archive is not None and file.archive.hashes))

    def _new_hasher(self) -> Hasher:
        return Hasher(self.validators.size if self._size_on_record is None else self._size_on_record)


def _read_validators(path: Path) -> Validators:
    """The validators in the file `path`; empty ones if it is missing or damaged."""
    try:
        validators = Validators(**parse_json(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return Validators()
    texts = (validators.etag, validators.last_modified)
    sound = all(_is_header(text) for text in texts) and isinstance(validators.size, int | None)
    return validators if sound else Validators()


def _is_header(text: object) -> bool:
    """Whether it can be the value of a header, or is None."""
    return text is None or (isinstance(text, str) and text.isprintable() and max(text, default="") <= "\xff")
