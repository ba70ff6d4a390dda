"""The entry of a manifest for one file of the model."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from zoo.schema import Data, Hex40, Hex64, Hex96, Name, RelativePath, Url

Role = Literal["definition", "weights", "mean", "log", "recorded"]
HASH_KINDS = ("sha256", "sha384", "sha1", "git_blob")


class File(Data):
    """One file of a model: how it is called, what it is for, where it comes from, how it is recognised."""

    name: Name
    role: Role
    bytes: Annotated[int, Field(gt=0, le=10**15)] | None = None
    sha256: Hex64 | None = None
    sha384: Hex96 | None = None
    sha1: Hex40 | None = None
    git_blob: Hex40 | None = None
    """SHA-1 of `blob <size>` + NUL + content, as `git hash-object` prints it."""
    urls: list[Url] = Field(default=[])
    """In order of preference."""
    path: RelativePath | None = None
    """For a file that ships with the zoo: where it lies, relative to the manifest's folder."""
    note: str | None = None

    @property
    def hashes(self) -> dict[str, str]:
        """The known hashes, kind to hex digest, strongest kind of identification first."""
        known = {kind: getattr(self, kind) for kind in HASH_KINDS}
        return {kind: digest for kind, digest in known.items() if digest is not None}

    @property
    def trust(self) -> Literal["pinned", "unpinned"]:
        """`pinned` if any hash was known beforehand; else the first fetch decides what is right."""
        return "pinned" if self.hashes else "unpinned"
