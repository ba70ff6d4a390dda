"""What is trained, with which images, and where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from zoo.catalog.manifest import Manifest
from zoo.datasets import Dataset
from zoo.evaluation.settings import Settings
from zoo.training.net import Source
from zoo.training.recipe import Recipe
from zoo.vocabulary import Precision


@dataclass(frozen=True)
class TrainingJob:
    """What is trained, with which images, and where.

    name: of the net, in the names of the results. hashes: file name to sha256 of the source. manifest: that
    of the model the net is from, None for files of the user's own. steps_per_checkpoint: see `Trainer`.
    """

    name: str
    source: Source
    hashes: Mapping[str, str]
    settings: Settings
    data: Dataset
    test: Dataset
    recipe: Recipe
    manifest: Manifest | None = None
    device: str = "cpu"
    precision: Precision = "float32"
    steps_per_checkpoint: int | None = None
    command: str = ""

    def identity(self) -> dict[str, Any]:
        """All that decides the result."""
        images = {"source": self.data.source, "labels": self.data.labels_source, "images": len(self.data)}
        test = {"source": self.test.source, "labels": self.test.labels_source, "images": len(self.test)}
        return {
            "schema_version": 1,
            "net": {"name": self.name, "files": dict(self.hashes), "scores": self.source.scores},
            "recipe": self.recipe.model_dump(),
            "preprocessing": self.settings.preprocessing.model_dump(),
            "data": images,
            "test": test,
            "precision": self.precision,
        }
