"""A run against an earlier one of the same net, image by image: did anything change?

Two runs in the same circumstances (runtime and its version, device, processor, precision, batch size) must
agree to the last bit. Across circumstances float32 sums differ in their last digits, and an image whose best
classes are as good as equal may change its verdict: how many may is the caller's tolerance.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from zoo.evidence.pairing import pair_rows
from zoo.evidence.run import Result, Row, Run

# What must be the same for the same bits to be expected.
FIELDS = ("runtime", "device", "precision", "batch_size")
ENVIRONMENT = ("platform", "cpu", "gpu", "onnxruntime", "torch", "threads", "numpy", "opencv")


@dataclass(frozen=True, slots=True)
class Change:
    """One image on which the runs differ. `flipped` names the metrics whose verdict changed."""

    image: str
    label: int
    before: tuple[int, ...]
    now: tuple[int, ...]
    flipped: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Regression:
    """The outcome. `different_circumstances` is empty where the same bits were expected.

    changes: images whose five best classes changed, in the order of the run.
    same_scores: images whose scores are the same to the last bit.
    score_difference: the largest difference of a score, where the classes are the same.
    tolerance: how many images may change their verdict.
    """

    n: int
    before: dict[str, int]
    now: dict[str, int]
    changes: list[Change]
    same_scores: int
    score_difference: float
    different_circumstances: list[str]
    tolerance: int | None

    @property
    def flipped(self) -> list[Change]:
        """Images whose verdict changed."""
        return [change for change in self.changes if change.flipped]

    @property
    def must_be_identical(self) -> bool:
        """Whether nothing at all may differ."""
        return not self.different_circumstances and self.tolerance is None

    @property
    def holds(self) -> bool:
        """Whether the run is as the earlier one was, within what is allowed."""
        if self.must_be_identical:
            return not self.changes and self.same_scores == self.n
        return len(self.flipped) <= (self.tolerance or 0)

    def verdict(self) -> str:
        """One sentence."""
        flips = f"{len(self.flipped)} of {self.n} images changed their verdict"
        if self.must_be_identical:
            if self.holds:
                return f"identical to the last bit over {self.n} images"
            return (
                f"{flips}, {len(self.changes)} their five best classes, {self.n - self.same_scores} a score: "
                "in the same circumstances nothing may change"
            )
        where = f" ({'; '.join(self.different_circumstances)})" if self.different_circumstances else ""
        return f"{flips}; allowed are {self.tolerance or 0}{where}"

    def to_json(self) -> dict[str, Any]:
        """JSON-able data; the keys are those of these classes and holds, must_be_identical, verdict."""
        derived = {"holds": self.holds, "must_be_identical": self.must_be_identical}
        return {**asdict(self), **derived, "verdict": self.verdict()}


def compare_runs(run: Run, earlier: Run, tolerance: int | None = None) -> Regression:
    """Hold a run against an earlier one.

    tolerance: images that may change their verdict; None: none, and in the same circumstances not a bit may.

    Raises:
        UsageError: they are not over the same images, labels and image files.
    """
    changes, same, difference = [], 0, 0.0
    for row, other in pair_rows(run.rows, earlier.rows, same_files=True):
        if row.top5 != other.top5:
            changes.append(_change(row, other))
        else:
            difference = max(
                [difference, *(abs(a - b) for a, b in zip(row.scores, other.scores, strict=True))]
            )
            same += row.scores == other.scores
    result, base = run.result, earlier.result
    return Regression(
        n=len(run.rows),
        before={"top1": base.top1_correct, "top5": base.top5_correct},
        now={"top1": result.top1_correct, "top5": result.top5_correct},
        changes=changes,
        same_scores=same,
        score_difference=difference,
        different_circumstances=_circumstances(result, base),
        tolerance=tolerance,
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
    pairs += [("preprocessing", base.preprocessing, result.preprocessing)]
    return [f"{name}: {was} then, {now} now" for name, was, now in pairs if was != now]
