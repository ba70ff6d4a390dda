"""The catalog: finds the manifests that ship with the zoo and those in the user's folders."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from zoo.bundled import bundled_folder
from zoo.catalog.manifest import Manifest
from zoo.errors import UsageError, excerpt


class Catalog:
    """The models by name. Manifests are read on demand, so a broken one affects no other model."""

    def __init__(self, paths: Mapping[str, Path]) -> None:
        self._paths = dict(sorted(paths.items()))

    @classmethod
    def load(cls, extra: Sequence[Path] = ()) -> Catalog:
        """The bundled models and those of the folders `extra` (every `*.toml` directly inside).

        UsageError if a folder does not exist or two models have one name: a model that silently replaced
        another would give wrong weights a known name.
        """
        paths: dict[str, Path] = {}
        for folder in (bundled_folder(), *extra):
            if not folder.is_dir():
                raise UsageError(f"{folder}: no such folder of manifests")
            for path in sorted(folder.glob("*.toml")):
                if path.stem in paths:
                    raise UsageError(
                        f"{path}: a model of that name is already in {paths[path.stem]}; rename it"
                    )
                paths[path.stem] = path
        return cls(paths)

    def names(self) -> list[str]:
        """The names of all models, sorted."""
        return list(self._paths)

    def get(self, name: str) -> Manifest:
        """The manifest of `name`. UsageError with the closest names if there is none."""
        if name not in self._paths:
            raise UsageError(f"no model is called '{name}'\n{self.advice(name)}")
        return Manifest.read(self._paths[name])

    def baseline(self, manifest: Manifest) -> Manifest | None:
        """The manifest of the baseline of `manifest`, or None if it has no baseline.

        UsageError if the catalog has no such model.
        """
        if manifest.baseline is None:
            return None
        if manifest.baseline not in self._paths:
            raise UsageError(
                f"{manifest.name}: its baseline '{excerpt(manifest.baseline)}' is no model of the catalog\n"
                f"{self.advice(manifest.baseline)}"
            )
        return self.get(manifest.baseline)

    def advice(self, name: str) -> str:
        """What to do about an unknown name: the closest names, and the command that lists all."""
        folded = name.lower().replace("_", "-")
        close = [folded] if folded in self._paths else difflib.get_close_matches(folded, self._paths, n=3)
        advice = f"  did you mean {' or '.join(close)}?\n" if close else ""
        return f"{advice}  all models: dsd-zoo list"

    def __iter__(self) -> Iterator[Manifest]:
        return (Manifest.read(path) for path in self._paths.values())

    def __len__(self) -> int:
        return len(self._paths)

    def __contains__(self, name: object) -> bool:
        return name in self._paths
