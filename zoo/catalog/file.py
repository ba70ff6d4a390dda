"""The entry of a manifest for one file of the model, and for the archive that holds it."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from zoo.schema import Data, Hex40, Hex64, Hex96, MemberPath, Name, RelativePath, Url

Role = Literal["definition", "weights", "mean", "log", "recorded"]
HASH_KINDS = ("sha256", "sha384", "sha1", "git_blob")


class Content(Data):
    """What is known beforehand of some content, and where it comes from."""

    bytes: Annotated[int, Field(gt=0)] | None = None
    sha256: Hex64 | None = None
    sha384: Hex96 | None = None
    sha1: Hex40 | None = None
    git_blob: Hex40 | None = None
    """SHA-1 of `blob <size>` + NUL + content, as `git hash-object` prints it."""
    urls: list[Url] = Field(default=[])
    """In order of preference."""

    @property
    def hashes(self) -> dict[str, str]:
        """The known hashes, kind to hex digest, strongest kind of identification first."""
        known = {kind: getattr(self, kind) for kind in HASH_KINDS}
        return {kind: digest for kind, digest in known.items() if digest is not None}


class FileArchive(Content):
    """The zip or tar archive in which a file was published: sizes, hashes and URLs are the archive's own."""

    member: MemberPath | None = None
    """The path of the file in the archive. None: not known; the file is found by name, ending or size."""

    @model_validator(mode="after")
    def _leads_somewhere(self) -> Self:
        if not self.urls and not self.hashes:
            raise ValueError("an archive needs a URL or a hash")
        return self


class File(Content):
    """One file of a model: how it is called, what it is for, where it comes from, how it is recognised."""

    name: Name
    role: Role
    path: RelativePath | None = None
    """For a file that ships with the zoo: where it lies, relative to the manifest's folder."""
    archive: FileArchive | None = None
    """The archive that holds the file; its URLs are asked after those of the file itself."""
    note: str | None = None

    @property
    def trust(self) -> Literal["pinned", "unpinned"]:
        """`pinned` if any hash was known beforehand; else the first fetch decides what is right."""
        return "pinned" if self.hashes else "unpinned"
