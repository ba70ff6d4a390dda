"""What every kind of source gives: a stream of bytes and what it announces of it, or the reason why not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import astuple, dataclass, field
from typing import Protocol


class SourceError(Exception):
    """One source did not deliver; the text says why, to be listed with its name. Another may still."""


class ContentError(SourceError):
    """What the source delivered cannot be the file; nothing of it is worth keeping."""


class TransientError(SourceError):
    """The same source may deliver when asked again, `after` so many seconds if it said so."""

    def __init__(self, text: str, after: float | None = None) -> None:
        super().__init__(text)
        self.after = after


@dataclass(frozen=True, slots=True)
class Validators:
    """What a source calls its content; equal stamps mean that a later part belongs to an earlier one.

    etag: a strong entity tag; last_modified: an HTTP date; size: of the whole, in bytes. None: not told.
    """

    etag: str | None = None
    last_modified: str | None = None
    size: int | None = None

    @property
    def validator(self) -> str | None:
        """What goes into If-Range (RFC 9110, 13.1.5): the strong tag, else the date."""
        return self.etag or self.last_modified

    def contradicts(self, other: Validators) -> bool:
        """Whether the two cannot belong to the same content."""
        pairs = zip(astuple(self), astuple(other), strict=True)
        return any(None not in (mine, theirs) and mine != theirs for mine, theirs in pairs)


@dataclass(frozen=True, slots=True)
class Stream:
    """An open source. `chunks` begin at byte `start` of the content.

    framed: whether the protocol tells where the content ends, so that a break cannot pass for the end.
    hashes: what the source itself says of the content, kind to lower-case hex digest.
    """

    start: int
    validators: Validators
    chunks: Iterator[bytes]
    framed: bool = True
    hashes: Mapping[str, str] = field(default_factory=dict)


class DownloadSource(Protocol):
    """One way to get a file. `name` is what an attempt is listed under."""

    @property
    def name(self) -> str:
        """The URL, and how it is asked where there are several ways."""
        ...

    def open(self, start: int, validators: Validators) -> AbstractContextManager[Stream]:
        """The content from byte `start` on if it still has this validators, else from its beginning.

        Raises SourceError, also while the chunks are read.
        """
        ...
