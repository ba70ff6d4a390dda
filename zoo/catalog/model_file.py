"""One file of one model: what the store, downloads and checks take."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoo.catalog.manifest import File, Manifest


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A file together with the model it belongs to; `entry` is the file's entry in `manifest`."""

    manifest: Manifest
    entry: File

    def __str__(self) -> str:
        return f"{self.name} of {self.model}"

    @property
    def model(self) -> str:
        """The name of the model."""
        return self.manifest.name

    @property
    def name(self) -> str:
        """The name of the file, unique in its model."""
        return self.entry.name

    @property
    def hashes(self) -> dict[str, str]:
        """See `File.hashes`."""
        return self.entry.hashes

    @property
    def bundled_path(self) -> Path | None:
        """Where the file lies if it ships with its manifest, else None."""
        return None if self.entry.path is None else self.manifest.directory / self.entry.path
