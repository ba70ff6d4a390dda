"""What a source delivers: a stream of bytes with the source's claims about it, or an error."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import astuple, dataclass, field
from typing import Protocol

# Characters of a server's text that a message shows.
MAX_SHOWN = 200


class SourceError(Exception):
    """One source did not deliver, and the text says why. Another source may still deliver."""


class ContentError(SourceError):
    """What the source delivered cannot be the file; no part of it is kept."""


class TransientError(SourceError):
    """A retry of the same source may succeed. `after`: seconds to wait, if the source said so."""

    def __init__(self, text: str, after: float | None = None) -> None:
        super().__init__(text)
        self.after = after


def shown(text: str) -> str:
    """Text of a server, short and on one line, for a message."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * MAX_SHOWN]).split())
    return line if len(line) <= MAX_SHOWN else f"{line[:MAX_SHOWN].rstrip()}..."


@dataclass(frozen=True, slots=True)
class Validators:
    """How a source identifies its content; parts with equal validators belong together.

    etag: a strong entity tag; last_modified: an HTTP date; size: of all the content, in bytes. None: unknown.
    """

    etag: str | None = None
    last_modified: str | None = None
    size: int | None = None

    @property
    def validator(self) -> str | None:
        """The value of If-Range (RFC 9110, 13.1.5): the strong tag, else the date."""
        return self.etag or self.last_modified

    def contradicts(self, other: Validators) -> bool:
        """Whether the two cannot belong to the same content."""
        pairs = zip(astuple(self), astuple(other), strict=True)
        return any(None not in (mine, theirs) and mine != theirs for mine, theirs in pairs)


@dataclass(frozen=True, slots=True)
class Stream:
    """An open source. `chunks` begin at byte `start` of the content.

    framed: whether the protocol marks the end of the content, so that a broken connection is noticed.
    hashes: the hashes that the source announces, kind to lower-case hex digest.
    media_type: what the source calls it, such as "text/html"; None: it does not say.
    url: where it came from after all redirects, if anywhere.
    """

    start: int
    validators: Validators
    chunks: Iterator[bytes]
    framed: bool = True
    hashes: Mapping[str, str] = field(default_factory=dict)
    media_type: str | None = None
    url: str | None = None


class DownloadSource(Protocol):
    """One way to download a file. `name` is for messages."""

    @property
    def name(self) -> str:
        """The URL, and which way, if there are several."""
        ...

    def open(self, start: int, validators: Validators) -> AbstractContextManager[Stream]:
        """The content from byte `start` on if it still has these validators, else from its beginning.

        Raises SourceError, also while the chunks are read.
        """
        ...
