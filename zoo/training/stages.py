"""The stages of one seed: both branches of the training, and which of them share what.

    dense ──┬── sparse ───────── dsd           the mask is on, then off
            └── baseline-half ── baseline      the same epochs and learning rates, never a mask

Stages of the same phase have the same seed, so the same order of the images, the same windows and the same
dropout. The last weights of each stage count; none is chosen by its accuracy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoo.training.recipe import PhaseName, Recipe


@dataclass(frozen=True, slots=True)
class Stage:
    """A phase of one branch. after: the stage whose weights it starts from; None: the net as it is given."""

    name: str
    phase: PhaseName
    after: str | None
    is_masked: bool = False

    def first_epoch(self, recipe: Recipe) -> int:
        """The number of epochs before it, which is where its order of images begins."""
        before = {"dense": (), "sparse": ("dense",), "redense": ("dense", "sparse")}[self.phase]
        return sum(recipe.dense.epochs if name == "dense" else recipe.sparse.epochs for name in before)


STAGES = (
    Stage("dense", "dense", None),
    Stage("sparse", "sparse", "dense", is_masked=True),
    Stage("dsd", "redense", "sparse"),
    Stage("baseline-half", "sparse", "dense"),
    Stage("baseline", "redense", "baseline-half"),
)
# The stages whose nets are the result, in the order of tables.
RESULTS = ("baseline", "sparse", "dsd")


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """What one epoch of a stage gave.

    epoch: from 1 within the stage. loss: the mean over the images, while training. top1, top5: right images
    of the n test images after the epoch. distance: of all prunable weights from those at the end of the
    dense stage, relative to these (Euclidean); 0 during that stage.
    """

    stage: str
    epoch: int
    epochs: int
    learning_rate: float
    loss: float
    top1: int
    top5: int
    n: int
    distance: float
    zeros: int
    seconds: float
