"""The folder of a training.

run.json                     what is trained, how and where; a resumption must agree with it
images.json                  that every image, of the training and of the test, was read once
seed-S/STAGE.safetensors     the last weights of a finished stage, and the record of its epochs
seed-S/checkpoint.safetensors   the stage under way
seed-S/NAME.onnx             the nets of the result: baseline, sparse and dsd
NAME.toml                    their manifests, for --manifests of other commands
evidence/NAME/               their evidence: one row per test image
verdict.json                 what was gained
report.html                  the page for people: `zoo.report.training`
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from converters import atomic_write
from zoo.errors import DataError, UsageError
from zoo.evaluation.folders import LOCK_NAME
from zoo.training.checkpoints import Checkpoint, read_checkpoint, write_checkpoint
from zoo.training.stages import Stage

RUN_NAME, VERDICT_NAME, CHECKPOINT_NAME = "run.json", "verdict.json", "checkpoint.safetensors"
IMAGES_NAME = "images.json"
# What lies in the folder of a training until all images have been read.
_BEFORE_THE_FIRST_STEP = frozenset({RUN_NAME, LOCK_NAME})


@dataclass(frozen=True)
class RunFolder:
    """The folder of a training; only the first process writes to it."""

    path: Path
    writes: bool = True

    def seed(self, seed: int) -> Path:
        """The folder of a seed."""
        return self.path / f"seed-{seed}"

    def start(self, identity: dict[str, Any], *, resume: bool) -> None:
        """Begin or go on. identity: all that decides the result, as JSON-able data.

        UsageError for a folder that holds another training, or this one without `resume`. The folder exists.
        A training that an image ended which cannot be read may begin again, and differently.
        """
        path = self.path / RUN_NAME
        if path.is_file():
            if resume:
                _check_same(self.path, _read_json(path), identity)
                return
            if self._has_begun():
                raise UsageError(
                    f"{self.path}: holds a training already; --resume goes on with it, -o NAME starts another"
                )
        elif resume:
            raise UsageError(f"{self.path}: no training to resume: there is no {RUN_NAME}")
        elif not self.path.is_dir() or any(entry.name != LOCK_NAME for entry in self.path.iterdir()):
            raise UsageError(f"{self.path}: is not empty; give a new folder: -o NAME")
        self.write_json(RUN_NAME, identity)

    def _has_begun(self) -> bool:
        """Whether anything lies there that is written once all images have been read."""
        return any(entry.name not in _BEFORE_THE_FIRST_STEP for entry in self.path.iterdir())

    def write_json(self, name: str, content: object) -> None:
        """Write a JSON file, whole or not at all."""
        if not self.writes:
            return
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with atomic_write(self.path / name) as temporary:
                temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            raise UsageError(f"{self.path / name}: cannot be written: {error.strerror}") from error

    @property
    def images_checked(self) -> bool:
        """Whether every image was read once already, and so can be."""
        return (self.path / IMAGES_NAME).is_file()

    def note_checked_images(self, count: int) -> None:
        """Note that this is so, for a resumption."""
        self.write_json(IMAGES_NAME, {"read": count})

    def finished(self, seed: int, stage: Stage, epochs: int) -> Checkpoint | None:
        """The end of a stage; None if it is not there yet."""
        found = read_checkpoint(self.seed(seed) / f"{stage.name}.safetensors")
        return found if found is not None and found.epochs == epochs else None

    def begun(self, seed: int, stage: Stage) -> Checkpoint | None:
        """The checkpoint of a stage under way; None if there is none of this stage."""
        found = read_checkpoint(self.seed(seed) / CHECKPOINT_NAME)
        return found if found is not None and found.stage == stage.name else None

    def save(self, seed: int, checkpoint: Checkpoint) -> None:
        """Keep the state of a stage under way."""
        if self.writes:
            write_checkpoint(self.seed(seed) / CHECKPOINT_NAME, checkpoint)

    def finish(self, seed: int, checkpoint: Checkpoint) -> None:
        """Keep the end of a stage."""
        if self.writes:
            write_checkpoint(self.seed(seed) / f"{checkpoint.stage}.safetensors", checkpoint)
            (self.seed(seed) / CHECKPOINT_NAME).unlink(missing_ok=True)


def _check_same(folder: Path, before: dict[str, Any], now: dict[str, Any]) -> None:
    """UsageError unless all that decides the result is what it was."""
    for key, value in now.items():
        if before.get(key) != value:
            raise UsageError(
                f"{folder}: was started with another {key}; give it again, or train into another "
                f"folder: -o NAME\n  before: {_short(before.get(key))}\n  now:    {_short(value)}"
            )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: not the record of a training")
    return content


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) < 200 else f"{text[:200]}..."
