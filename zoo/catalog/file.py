"""The entry of a manifest for one file of the model."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from zoo.schema import Data, Hex40, Hex64, Hex96, Name, RelativePath, Url

Role = Literal["definition", "weights", "mean", "log", "recorded", "data", "alternative"]
# Larger than any; numbers without end would make others that cannot be printed.
MOST_COUNT = 10**15
HASH_KINDS = ("sha256", "sha384", "sha1", "git_blob")


class Identified(Data):
    """What is known of the bytes of a file."""

    bytes: Annotated[int, Field(gt=0, le=MOST_COUNT)] | None = None
    sha256: Hex64 | None = None
    sha384: Hex96 | None = None
    sha1: Hex40 | None = None
    git_blob: Hex40 | None = None
    """SHA-1 of `blob <size>` + NUL + content, as `git hash-object` prints it."""

    @property
    def hashes(self) -> dict[str, str]:
        """The known hashes, kind to hex digest, strongest kind of identification first."""
        known = {kind: getattr(self, kind) for kind in HASH_KINDS}
        return {kind: digest for kind, digest in known.items() if digest is not None}


class Archive(Identified):
    """The archive that the URLs of a file deliver, where it is known which one it is."""

    name: Name | None = None
    member: str | None = None
    """The file in it, with folders; None: not stated."""


class File(Identified):
    """One file of a model: how it is called, what it is for, where it comes from, how it is recognised."""

    name: Name
    role: Role
    """`data`: numbers that are no part of the net, but needed to use it. `alternative`: another file for the
    purpose of one of the others, which the zoo does not use but recognises."""
    urls: list[Url] = Field(default=[])
    """In order of preference."""
    archive: Archive | None = None
    """Where the URLs deliver an archive with the file in it."""
    path: RelativePath | None = None
    """For a file that ships with the zoo: where it lies, relative to the manifest's folder."""
    note: str | None = None

    @property
    def trust(self) -> Literal["pinned", "unpinned"]:
        """`pinned` if any hash was known beforehand, of the file or of the archive that it comes in.

        Otherwise the first fetch decides what is right.
        """
        return "pinned" if self.hashes or self.is_pinned_by_archive else "unpinned"

    @property
    def is_pinned_by_archive(self) -> bool:
        """Whether no hash of the file itself is known, but one of the archive that it comes in."""
        return not self.hashes and self.archive is not None and bool(self.archive.hashes)
