"""What a command is about: a model of the zoo, or files of one's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.cli._common import load_catalog
from zoo.errors import UsageError

if TYPE_CHECKING:
    from zoo.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Subject:
    """The files of a net under their own names, in conversion order, and what the zoo knows about it.

    `name` is what results call it; `cache` is the root of the user's cache, where converted forms are kept.
    """

    name: str
    files: dict[str, Path]
    cache: Path
    manifest: Manifest | None = None
    mean_image: Path | None = None

    @property
    def sources(self) -> list[Path]:
        """The files that the converter reads."""
        return list(self.files.values())

    def hashes(self) -> dict[str, str]:
        """Name to sha256 of the files."""
        from zoo.environment import sha256

        return {name: sha256(path) for name, path in self.files.items()}


def find_subject(arguments: Sequence[str], manifests: Sequence[Path] | None = None) -> Subject:
    """The model that the only argument names, or else the files that all of them name.

    Raises:
        UsageError: no such model (with suggestions) or file, or a model's file is not in the cache yet.
    """
    from zoo.cache import Cache

    cache = Cache()
    paths = [Path(argument) for argument in arguments]
    if len(paths) > 1 or paths[0].is_file():
        missing = [str(path) for path in paths if not path.is_file()]
        if missing:
            raise UsageError(f"no such file: {', '.join(missing)}")
        return Subject(paths[-1].stem, {path.name: path for path in paths}, cache.root)
    if paths[0].suffix or len(paths[0].parts) > 1:
        raise UsageError(f"no such file: {paths[0]}")
    manifest = load_catalog(manifests).get(arguments[0])
    files = {file.name: cache.require(manifest, file.role) for file in manifest.source_files()}
    mean = cache.require(manifest, "mean") if manifest.preprocessing.mean_image else None
    return Subject(manifest.name, files, cache.root, manifest, mean)
