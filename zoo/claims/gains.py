"""A model against its baseline: from the published counts, and image by image where both were run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from zoo.catalog.manifest import Claim, Manifest
from zoo.claims.statistics import (
    Interval,
    mcnemar_exact,
    minimum_detectable_gain,
    paired_difference_interval,
    unpaired_difference_interval,
)
from zoo.vocabulary import Metric

if TYPE_CHECKING:
    from zoo.evidence.run import Result, Row

SIGNIFICANCE = 0.05


@dataclass(frozen=True, slots=True)
class ClaimedGain:
    """The gain as published. Which images changed is unknown, so the interval treats them as unrelated."""

    correct: int
    n: int
    baseline_correct: int
    baseline_n: int
    exact: bool
    """Whether both counts are known; otherwise they come from a rounded percentage."""
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
    """The smallest true gain that n images with this share of discordant ones reveal in 80 % of cases."""


@dataclass(frozen=True, slots=True)
class Gain:
    """What a model gains over its baseline in one metric."""

    metric: Metric
    baseline: str
    claimed: ClaimedGain | None
    measured: list[PairedGain]


def compare(manifest: Manifest, baseline: Manifest, runs: Sequence[tuple[Result, list[Row]]]) -> list[Gain]:
    """The gains of a model over its baseline, for each metric that is claimed or measured for both.

    Two runs are paired when runtime and device are the same and both saw the same images with the same
    labels, each under its own model's preprocessing.
    """
    pairs = _pairs(manifest, baseline, runs)
    gains = []
    for metric in ("top1", "top5"):
        ours, theirs = manifest.claim(metric), baseline.claim(metric)
        claimed = None if ours is None or theirs is None else _claimed(ours, theirs)
        measured = [paired_gain(metric, *pair) for pair in pairs]
        if claimed is not None or measured:
            gains.append(Gain(metric, baseline.name, claimed, measured))
    return gains


def _claimed(ours: Claim, theirs: Claim) -> ClaimedGain:
    correct, baseline_correct = claimed_count(ours), claimed_count(theirs)
    interval = unpaired_difference_interval(correct, ours.n, baseline_correct, theirs.n)
    return ClaimedGain(
        correct=correct,
        n=ours.n,
        baseline_correct=baseline_correct,
        baseline_n=theirs.n,
        exact=ours.correct is not None and theirs.correct is not None,
        gain=float(Fraction(correct, ours.n) - Fraction(baseline_correct, theirs.n)),
        interval=interval,
        significant=not interval.low <= 0 <= interval.high,
    )


def claimed_count(claim: Claim) -> int:
    """The count of right images a claim stands for; from its rounded percentage if that is all there is."""
    return round(claim.percent * claim.n / 100) if claim.correct is None else claim.correct


def departure(manifest: Manifest, result: Result) -> str | None:
    """What keeps a run from speaking of the claims, if anything: other preprocessing, less than float32."""
    settings = manifest.preprocessing.model_dump(exclude_none=True)
    if settings != {name: value for name, value in result.preprocessing.items() if value is not None}:
        return f"under other preprocessing than the claim's {manifest.preprocessing.flavour}"
    return None if result.precision == "float32" else f"computed in {result.precision}, not in float32"


def _pairs(
    manifest: Manifest, baseline: Manifest, runs: Sequence[tuple[Result, list[Row]]]
) -> list[tuple[Result, list[Row], list[Row]]]:
    def runs_of(model: Manifest) -> list[tuple[Result, list[Row]]]:
        return [
            (result, rows)
            for result, rows in runs
            if result.model == model.name and result.n and departure(model, result) is None
        ]

    pairs = []
    for result, rows in runs_of(manifest):
        for other, other_rows in runs_of(baseline):
            alike = (result.runtime, result.device) == (other.runtime, other.device)
            if alike and _images(rows) == _images(other_rows):
                pairs.append((result, rows, other_rows))
    return pairs


def _images(rows: list[Row]) -> dict[str, int]:
    return {row.image: row.label for row in rows}


def paired_gain(metric: Metric, result: Result, rows: list[Row], baseline_rows: list[Row]) -> PairedGain:
    """The gain of one run over another on the same images, image by image."""
    ours = {row.image: row.correct(metric) for row in rows}
    theirs = {row.image: row.correct(metric) for row in baseline_rows}
    n = len(ours)
    both = sum(right and theirs[image] for image, right in ours.items())
    only_model = sum(ours.values()) - both
    only_baseline = sum(theirs.values()) - both
    p_value = mcnemar_exact(only_model, only_baseline)
    return PairedGain(
        runtime=result.runtime,
        device=result.device,
        n=n,
        both=both,
        only_model=only_model,
        only_baseline=only_baseline,
        neither=n - both - only_model - only_baseline,
        gain=(only_model - only_baseline) / n,
        interval=paired_difference_interval(only_model, only_baseline, n),
        p_value=p_value,
        significant=p_value < SIGNIFICANCE,
        minimum_detectable=minimum_detectable_gain(n, (only_model + only_baseline) / n),
    )
