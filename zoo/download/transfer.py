"""Downloads one file from one source: retries, resumes, and verifies what came."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.catalog.file import Identified
from zoo.download.archive import find_member, most_unpacked, read_member
from zoo.download.content import HEAD_BYTES, Archive, kind_of_content
from zoo.download.partial import Partial
from zoo.download.progress import DownloadProgress
from zoo.download.retry import RetryPolicy
from zoo.download.stream import ContentError, DownloadSource, SourceError, Stream, TransientError
from zoo.errors import IntegrityError
from zoo.store.digests import Digests, Hasher, mismatches

if TYPE_CHECKING:
    from zoo.catalog.file import File

# The limit for archives and files of unknown size, so that an endless stream is stopped. No known model file
# is larger.
MAX_BYTES = 1 << 31
UNPACKED_NAME = "unpacked.part"


@dataclass(frozen=True, slots=True)
class ReceivedFile:
    """A complete file, not yet in the cache.

    member, archive: its name in the archive that came, and the digests of that; None if the file itself came.
    """

    path: Path
    digests: Digests
    member: str | None = None
    archive: Digests | None = None


@dataclass(frozen=True, slots=True)
class Transfer:
    """The download of `file` into `folder`.

    check: raises IntegrityError unless the digests of the file are those on record.
    require_space: raises UsageError unless the disk has that many free bytes.
    """

    file: File
    folder: Path
    check: Callable[[Digests], None]
    require_space: Callable[[int], None]
    retry_policy: RetryPolicy
    progress: DownloadProgress

    def run(self, source: DownloadSource) -> ReceivedFile:
        """Download the file from `source`. A partial download stays in the folder for the next run.

        Raises:
            SourceError: the source did not deliver.
            IntegrityError: it delivered another file than the one on record.
        """
        with Partial(self.folder, source.name, self.file) as partial:
            try:
                return self._with_retries(source, partial)
            except (IntegrityError, ContentError):
                was_resumed = partial.resumed
                partial.restart()
                if not was_resumed:
                    raise
            # Parts of different responses did not fit together: start over once.
            try:
                return self._with_retries(source, partial)
            except (IntegrityError, ContentError):
                partial.restart()
                raise

    def _with_retries(self, source: DownloadSource, partial: Partial) -> ReceivedFile:
        failures = 0
        while True:
            before = partial.size
            try:
                return self._checked(partial, *self._receive_rest(source, partial))
            except TransientError as error:
                progressed = partial.size - before >= self.retry_policy.progress_bytes
                failures = 1 if progressed else failures + 1
                if failures >= self.retry_policy.max_attempts:
                    raise SourceError(f"{error}; {failures} times in a row") from error
                seconds = self.retry_policy.delay(failures, error.after)
                self.progress.note(f"{error}; again in {seconds:.0f} s")
                self.progress.sleep(seconds)

    def _receive_rest(
        self, source: DownloadSource, partial: Partial
    ) -> tuple[Archive | None, Mapping[str, str]]:
        """Receive the missing bytes; returns the kind of archive, and the hashes the source announces."""
        if self._is_whole(partial):
            return kind_of_content(self.file, partial.head(HEAD_BYTES)), {}
        with source.open(partial.size, partial.validators) as stream:
            if stream.start and stream.validators.contradicts(partial.validators):
                partial.restart()
                raise TransientError("the content changed between two answers", after=0)
            partial.begin(stream.start, stream.validators)
            return self._receive(stream, partial), stream.hashes

    def _is_whole(self, partial: Partial) -> bool:
        known = partial.validators.size
        if known is None and partial.size:
            kind = kind_of_content(self.file, partial.head(HEAD_BYTES))
            known = self._on_record(kind).bytes
        return partial.size > 0 and partial.size == known

    def _receive(self, stream: Stream, partial: Partial) -> Archive | None:
        identified = False
        kind: Archive | None = None
        expected: int | None = None
        for chunk in stream.chunks:
            partial.write(chunk)
            if not identified and partial.size >= HEAD_BYTES:
                identified = True
                kind, expected = self._identify(stream, partial)
            max_bytes = MAX_BYTES if expected is None else expected
            if partial.size > max_bytes:
                raise IntegrityError(
                    f"not the {_what(kind)} on record\n  bytes: expected {max_bytes} at most, more came"
                )
            self.progress.update(partial.size, expected)
        if not identified and partial.size >= (stream.validators.size or 0):
            kind, expected = self._identify(stream, partial)
        announced = stream.validators.size if expected is None else expected
        if announced is not None and partial.size < announced:
            raise TransientError(f"broke off after {partial.size} of {announced} bytes")
        if expected is None and not stream.framed and not self._on_record(kind).hashes:
            raise ContentError("tells no length, and no size or hash is on record: it may be incomplete")
        return kind

    def _identify(self, stream: Stream, partial: Partial) -> tuple[Archive | None, int | None]:
        """The kind of archive that is arriving, and its expected size in bytes."""
        kind = kind_of_content(self.file, partial.head(HEAD_BYTES))
        expected = stream.validators.size
        known = self._on_record(kind).bytes
        if known is not None:
            if expected not in (None, known):
                raise IntegrityError(
                    f"not the {_what(kind)} on record\n  bytes: expected {known}, came {expected}"
                )
            expected = known
        elif expected is not None and expected > MAX_BYTES:
            raise ContentError(
                f"announces {expected:,} bytes; none of these files has more than {MAX_BYTES:,}"
            )
        if expected is not None:
            self.require_space(expected - partial.size)
        return kind, expected

    def _checked(self, partial: Partial, kind: Archive | None, announced: Mapping[str, str]) -> ReceivedFile:
        digests = partial.finish()
        came = asdict(digests)
        for name, digest in announced.items():
            if came[name] != digest:
                raise ContentError(f"delivered other bytes than it says: {name} {came[name]}, not {digest}")
        if kind is None:
            self.check(digests)
            return ReceivedFile(partial.path, digests)
        if wrong := mismatches(self._on_record(kind), digests):
            raise IntegrityError("not the archive on record\n" + "\n".join(f"  {line}" for line in wrong))
        return self._unpack(partial, kind, digests)

    def _on_record(self, kind: Archive | None) -> Identified:
        """What is on record of what arrives: of the archive if it is one, else of the file."""
        return self.file if kind is None else self.file.archive or Identified()

    def _unpack(self, partial: Partial, kind: Archive, archive: Digests) -> ReceivedFile:
        max_bytes = self.file.bytes
        if max_bytes is None:
            max_bytes = min(MAX_BYTES, most_unpacked(partial.path))
        member = find_member(partial.path, kind, self.file, max_bytes)
        if member.size is not None:
            self.require_space(member.size)
        path = self.folder / UNPACKED_NAME
        try:
            digests = self._write_member(
                path, kind, member.size, read_member(partial.path, kind, member, max_bytes)
            )
            self.check(digests)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return ReceivedFile(path, digests, member.name, archive)

    def _write_member(self, path: Path, kind: Archive, size: int | None, chunks: Iterator[bytes]) -> Digests:
        hasher = Hasher(size)
        with path.open("wb") as file:
            for chunk in chunks:
                if not hasher.bytes and kind_of_content(self.file, chunk[:HEAD_BYTES]) is not None:
                    raise ContentError(f"delivered a {kind} archive with another in it; unpack it by hand")
                hasher.update(chunk)
                file.write(chunk)
                self.progress.update(hasher.bytes, size)
            file.flush()
            os.fsync(file.fileno())
        return hasher.finish(path)


def _what(kind: Archive | None) -> str:
    return "file" if kind is None else "archive"
