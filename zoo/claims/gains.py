"""The gain of a model over its baseline: from the published counts, and image by image if both were run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from zoo.catalog.claim import Claim
from zoo.catalog.manifest import Manifest
from zoo.claims.measurement import published_count, why_not_comparable
from zoo.claims.statistics import (
    Interval,
    mcnemar_exact,
    minimum_detectable_gain,
    paired_difference_interval,
    unpaired_difference_interval,
)
from zoo.evidence.pairing import find_difference, pair_rows
from zoo.vocabulary import METRICS, Metric

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from zoo.evidence.rows import Row
    from zoo.evidence.run import Run

SIGNIFICANCE = 0.05


@dataclass(frozen=True, slots=True)
class UnpairedGain:
    """The gain by published totals. Its interval treats images as unrelated: only the totals are known."""

    correct: int
    n: int
    baseline_correct: int
    baseline_n: int
    exact: bool
    """Whether both counts are known; otherwise at least one comes from a rounded percentage."""
    gain: float
    """Accuracy of the model minus that of its baseline, as a fraction of 1."""
    interval: Interval
    significant: bool
    """Whether the interval excludes 0."""


@dataclass(frozen=True, slots=True)
class PairedGain:
    """The gain as measured on the same images."""

    runtime: str
    device: str
    n: int
    both: int
    only_model: int
    only_baseline: int
    neither: int
    gain: float
    interval: Interval
    p_value: float
    """Of the exact McNemar test, two-sided."""
    significant: bool
    """Whether p_value is below 5 %."""
    minimum_detectable: float
    """The smallest true gain that n images with this share of discordant ones reveal in 80 % of the cases."""


@dataclass(frozen=True, slots=True)
class Gain:
    """The gain of a model over its baseline in one metric, as claimed and as measured."""

    metric: Metric
    baseline: str
    claimed: UnpairedGain | None
    measured: list[PairedGain]


def gains_over_baseline(manifest: Manifest, baseline: Manifest, runs: Sequence[Run]) -> list[Gain]:
    """The gains of a model over its baseline, for each metric that is claimed or measured for both.

    Two runs are paired if they have the same runtime, device, images and labels, and each is in float32 under
    the preprocessing of its own model.
    """
    pairs = _comparable_runs(manifest, baseline, runs)
    gains = []
    for metric in METRICS:
        ours, theirs = manifest.claim(metric), baseline.claim(metric)
        claimed = None if ours is None or theirs is None else _claimed(ours, theirs)
        measured = [paired_gain(metric, *pair) for pair in pairs]
        if claimed is not None or measured:
            gains.append(Gain(metric, baseline.name, claimed, measured))
    return gains


def _claimed(ours: Claim, theirs: Claim) -> UnpairedGain:
    exact = ours.correct is not None and theirs.correct is not None
    return unpaired_gain(published_count(ours), ours.n, published_count(theirs), theirs.n, exact=exact)


def unpaired_gain(
    correct: int, n: int, baseline_correct: int, baseline_n: int, *, exact: bool
) -> UnpairedGain:
    """The gain of one total over another. exact: whether both counts are known."""
    interval = unpaired_difference_interval(correct, n, baseline_correct, baseline_n)
    return UnpairedGain(
        correct=correct,
        n=n,
        baseline_correct=baseline_correct,
        baseline_n=baseline_n,
        exact=exact,
        gain=float(Fraction(correct, n) - Fraction(baseline_correct, baseline_n)),
        interval=interval,
        significant=not interval.low <= 0 <= interval.high,
    )


def _comparable_runs(manifest: Manifest, baseline: Manifest, runs: Sequence[Run]) -> list[tuple[Run, Run]]:
    def runs_of(model: Manifest) -> list[Run]:
        return [
            run
            for run in runs
            if run.result.model == model.name
            and run.result.n
            and why_not_comparable(model, run.result) is None
        ]

    pairs = []
    for run in runs_of(manifest):
        for other in runs_of(baseline):
            ours, theirs = run.result, other.result
            alike = (ours.runtime, ours.device) == (theirs.runtime, theirs.device)
            if alike and find_difference(run.rows, other.rows) is None:
                pairs.append((run, other))
    return pairs


def paired_gain(metric: Metric, run: Run, baseline: Run) -> PairedGain:
    """The gain of one run over another on the same images. UsageError if they cannot be paired."""
    ours, theirs = (rows.correct(metric) for rows in pair_rows(run.rows, baseline.rows))
    n, both, neither = len(ours), int((ours & theirs).sum()), int((~ours & ~theirs).sum())
    only_model, only_baseline = int((ours & ~theirs).sum()), int((theirs & ~ours).sum())
    p_value = mcnemar_exact(only_model, only_baseline)
    return PairedGain(
        runtime=run.result.runtime,
        device=run.result.device,
        n=n,
        both=both,
        only_model=only_model,
        only_baseline=only_baseline,
        neither=neither,
        gain=(only_model - only_baseline) / n,
        interval=paired_difference_interval(only_model, only_baseline, n),
        p_value=p_value,
        significant=p_value < SIGNIFICANCE,
        minimum_detectable=minimum_detectable_gain(n, (only_model + only_baseline) / n),
    )


@dataclass(frozen=True, slots=True)
class ClassGain:
    """One class under two nets: how many of its `n` images each ranked right (top-1).

    `p_value` is that of the exact McNemar test on this class alone, times the number of classes (Bonferroni):
    with hundreds of classes some differ by chance.
    """

    label: int
    n: int
    correct: int
    other_correct: int
    p_value: float

    @property
    def gain(self) -> int:
        """Images gained; negative if more were lost."""
        return self.correct - self.other_correct


def class_gains(rows: Sequence[Row], other: Sequence[Row]) -> list[ClassGain]:
    """Top-1 class by class, the largest gain first. UsageError if the runs cannot be paired."""
    import numpy as np

    ours, theirs = pair_rows(rows, other)
    right, other_right = ours.correct("top1"), theirs.correct("top1")
    labels, of_image = np.unique(ours.labels, return_inverse=True)

    def by_class(images: NDArray[np.bool_]) -> list[int]:
        counts: list[int] = np.bincount(of_image[images], minlength=len(labels)).tolist()
        return counts

    gains = []
    for label, n, correct, won, lost in zip(
        labels.tolist(),
        by_class(np.ones(len(ours), np.bool_)),
        by_class(right),
        by_class(right & ~other_right),
        by_class(other_right & ~right),
        strict=True,
    ):
        p_value = min(1.0, mcnemar_exact(won, lost) * len(labels))
        gains.append(ClassGain(label, n, correct, correct - won + lost, p_value))
    return sorted(gains, key=lambda gain: (-gain.gain, gain.label))
