"""A run against an earlier one of the same net, image by image: did anything change?

Two runs in the same circumstances (runtime and its version, device, processor, precision, batch size) must
agree to the last bit. In different circumstances float32 sums differ in their last digits, and an image whose
best classes have nearly equal scores may change its verdict; the caller's tolerance limits how many may.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any

from zoo.evidence.pairing import pair_rows
from zoo.evidence.rows import NO_CLASS, Row
from zoo.evidence.run import Result, Run

# Runs that are equal in these are expected to agree to the last bit.
FIELDS = ("runtime", "device", "precision", "batch_size")
ENVIRONMENT = ("platform", "cpu", "gpu", "onnxruntime", "torch", "threads", "numpy", "opencv")


@dataclass(frozen=True, slots=True)
class Change:
    """One image whose five best classes changed. `flipped` names the metrics whose verdict changed."""

    image: str
    label: int
    before: tuple[int, ...]
    now: tuple[int, ...]
    flipped: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Regression:
    """The outcome of a comparison with an earlier run.

    before, now: the number of right images per metric.
    changes: images whose five best classes changed, in the order of the run.
    same_scores: the number of images whose classes and scores are the same to the last bit.
    score_difference: the largest difference of a score among images whose classes are the same.
    different_circumstances: what differs; empty if the runs are expected to agree to the last bit.
    tolerance: how many images may change their verdict.
    max_drop: how many percentage points an accuracy may be lower than before; None: not limited that way.
    """

    n: int
    before: dict[str, int]
    now: dict[str, int]
    changes: list[Change]
    same_scores: int
    score_difference: float
    different_circumstances: list[str]
    tolerance: int | None
    max_drop: float | None = None

    @property
    def flipped(self) -> list[Change]:
        """The images whose verdict changed."""
        return [change for change in self.changes if change.flipped]

    @property
    def must_be_identical(self) -> bool:
        """Whether not a bit may differ."""
        return not self.different_circumstances and self.tolerance is None and self.max_drop is None

    @property
    def too_low(self) -> list[str]:
        """The metrics whose accuracy is lower than before by more than `max_drop` points."""
        if self.max_drop is None:
            return []
        # Exact: 0.2 points of 500 images are one image.
        allowed = Fraction(str(self.max_drop)) * self.n / 100
        return [metric for metric in self.before if self.before[metric] - self.now[metric] > allowed]

    @property
    def holds(self) -> bool:
        """Whether the run agrees with the earlier one, within the tolerance."""
        if self.must_be_identical:
            return not self.changes and self.same_scores == self.n
        if self.max_drop is not None and self.tolerance is None:
            return not self.too_low
        return not self.too_low and len(self.flipped) <= (self.tolerance or 0)

    def verdict(self) -> str:
        """The outcome in one sentence."""
        flips = f"{len(self.flipped)} of {self.n} images changed their verdict"
        if self.must_be_identical:
            if self.holds:
                return f"identical to the last bit over {self.n} images"
            return (
                f"{flips}, {len(self.changes)} their five best classes, {self.n - self.same_scores} a score: "
                "in the same circumstances nothing may change"
            )
        where = f" ({'; '.join(self.different_circumstances)})" if self.different_circumstances else ""
        if self.max_drop is None:
            return f"{flips}; allowed are {self.tolerance or 0}{where}"
        drop = max(self.before[metric] - self.now[metric] for metric in self.before)
        lost = f"at most {100 * max(drop, 0) / self.n:.2f} points lost, allowed are {self.max_drop:g}"
        allowed = "" if self.tolerance is None else f", allowed are {self.tolerance}"
        return f"{lost}; {flips}{allowed}{where}"

    def to_json(self) -> dict[str, Any]:
        """JSON-able data; the keys are the fields of these classes and holds, must_be_identical, verdict."""
        derived = {"holds": self.holds, "must_be_identical": self.must_be_identical}
        return {**asdict(self), **derived, "verdict": self.verdict()}


def compare_runs(
    run: Run, earlier: Run, tolerance: int | None = None, max_drop: float | None = None
) -> Regression:
    """Hold a run against an earlier one.

    tolerance: how many images may change their verdict. None: no image, and in the same circumstances not a
    bit.
    max_drop: how many points of top-1 and of top-5 may be lost. Without a tolerance it is all that counts.

    Raises:
        UsageError: they are not over the same images, labels and image files.
    """
    rows, others = pair_rows(run.rows, earlier.rows, same_files=True)
    same_classes = (rows.ids == others.ids).all(axis=1)
    scores, before = rows.scores[same_classes], others.scores[same_classes]
    # Where there is no class there is no score, and what fills that up differs from itself.
    same_scores = (scores == before) | (rows.ids[same_classes] == NO_CLASS)
    changed = [place for place, same in enumerate(same_classes.tolist()) if not same]
    result, base = run.result, earlier.result
    return Regression(
        n=len(run.rows),
        before={"top1": base.top1_correct, "top5": base.top5_correct},
        now={"top1": result.top1_correct, "top5": result.top5_correct},
        changes=list(map(_change, rows.taken(changed), others.taken(changed))),
        same_scores=int(same_scores.all(axis=1).sum()),
        score_difference=float(abs(scores - before)[~same_scores].max(initial=0.0)),
        different_circumstances=_circumstances(result, base),
        tolerance=tolerance,
        max_drop=max_drop,
    )


def _change(row: Row, other: Row) -> Change:
    verdicts = {
        "top1": (other.top1_correct, row.top1_correct),
        "top5": (other.top5_correct, row.top5_correct),
    }
    flipped = tuple(metric for metric, (was, is_now) in verdicts.items() if was != is_now)
    return Change(row.image, row.label, other.top5, row.top5, flipped)


def _circumstances(result: Result, base: Result) -> list[str]:
    pairs = [(name, getattr(base, name), getattr(result, name)) for name in FIELDS]
    pairs += [(name, base.environment.get(name), result.environment.get(name)) for name in ENVIRONMENT]
    pairs += [
        (f"preprocessing {name}", base.preprocessing.get(name), result.preprocessing.get(name))
        for name in dict.fromkeys([*base.preprocessing, *result.preprocessing])
    ]
    return [f"{name}: {_recorded(was)} then, {_recorded(now)} now" for name, was, now in pairs if was != now]


def _recorded(value: object) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value))
    return "not recorded" if value is None else str(value)
