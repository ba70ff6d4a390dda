"""What did a source deliver? Its first bytes tell: the file, an archive that may hold it, or neither."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from zoo.download.stream import ContentError

if TYPE_CHECKING:
    from zoo.catalog.file import File

Archive = Literal["zip", "tar", "gzip", "bzip2"]
_ARCHIVES: tuple[tuple[bytes, Archive], ...] = (
    (b"PK\x03\x04", "zip"),
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
)
# What a file of this role rightly begins with, although it is no network.
_ROLE_MAGIC = {"mean": b"\x93NUMPY", "recorded": b"PK\x03\x04"}
_SHOWN_CHARACTERS = 60
HEAD_BYTES = 512
"""How many of the first bytes tell."""


def kind_of_content(file: File, head: bytes) -> Archive | None:
    """The kind of archive that begins with `head`, or None for what may be the file itself.

    ContentError for what can be neither: a web page, a Git LFS pointer, an empty or a foreign file.
    """
    from converters import foreign

    if not head:
        raise ContentError("delivered nothing")
    right = _ROLE_MAGIC.get(file.role)
    if right is not None and head.startswith(right):
        return None
    if (archive := archive_kind(head)) is not None:
        return archive
    if (what := foreign(head)) is not None:
        raise ContentError(f"delivered {what}")
    if not file.hashes and file.role == "weights":
        _refuse_text(head)
    return None


def archive_kind(head: bytes) -> Archive | None:
    """The kind of archive or compressed file that begins so, if it is one that can be unpacked here."""
    if head[257:262] == b"ustar":
        return "tar"
    return next((kind for magic, kind in _ARCHIVES if head.startswith(magic)), None)


def _refuse_text(head: bytes) -> None:
    """No hash would find an error message that came instead of weights. An ASCII .t7 begins with a digit."""
    from converters import is_text

    if is_text(head) and not head[:1].isdigit():
        shown = head.decode("utf-8", "replace").strip().split("\n")[0][:_SHOWN_CHARACTERS]
        raise ContentError(f"delivered text instead of weights: '{shown}'")
