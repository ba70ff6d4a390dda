"""Tells from the first bytes whether a source delivered the file, an archive, or something else."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from zoo.download.stream import ContentError, shown

if TYPE_CHECKING:
    from zoo.catalog.file import File

Archive = Literal["zip", "tar", "gzip", "bzip2"]
_ARCHIVES: tuple[tuple[bytes, Archive], ...] = (
    (b"PK\x03\x04", "zip"),
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
)
# The first bytes of files that hold no net, by role; a recorded file is a zip (.npz) and is not unpacked.
_ROLE_MAGIC = {"mean": b"\x93NUMPY", "recorded": b"PK\x03\x04"}
_SHOWN_CHARACTERS = 60
_TITLE = re.compile(rb"<title[^>]*>([^<]*)", re.IGNORECASE)
HEAD_BYTES = 512
"""The number of first bytes that are looked at."""


def kind_of_content(file: File, head: bytes) -> Archive | None:
    """The kind of archive that begins with `head`, or None if it may be the file itself.

    ContentError if it can be neither: a web page, a Git LFS pointer, an empty file or one of another kind.
    """
    from converters import foreign

    if not head:
        raise ContentError("delivered nothing")
    magic = _ROLE_MAGIC.get(file.role)
    if magic is not None and head.startswith(magic):
        return None
    if (archive := archive_kind(head)) is not None:
        return archive
    if (what := foreign(head)) is not None:
        title = _TITLE.search(head)
        said = "" if title is None else shown(title[1].decode("utf-8", "replace"))
        raise ContentError(f"delivered {what}" + (f"; its title: '{said}'" if said else ""))
    if not file.hashes and file.role == "weights":
        _refuse_text(head)
    return None


def archive_kind(head: bytes) -> Archive | None:
    """The kind of archive or compressed file that begins with `head`; None if it is not supported."""
    if head[257:262] == b"ustar":
        return "tar"
    return next((kind for magic, kind in _ARCHIVES if head.startswith(magic)), None)


def _refuse_text(head: bytes) -> None:
    """Without a hash, only this finds an error text in place of weights. An ASCII .t7 starts with a digit."""
    from converters import is_text

    if is_text(head) and not head[:1].isdigit():
        shown = head.decode("utf-8", "replace").strip().split("\n")[0][:_SHOWN_CHARACTERS]
        raise ContentError(f"delivered text instead of weights: '{shown}'")
