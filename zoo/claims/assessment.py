"""What a run says, and how sure one can be of it: intervals, the published order, another net beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from zoo.claims.statistics import (
    CountInterval,
    Interval,
    clopper_pearson_interval,
    finite_population_interval,
    mcnemar_exact,
    wilson_interval,
)
from zoo.errors import UsageError
from zoo.evidence.run import Result, Row
from zoo.vocabulary import Metric

if TYPE_CHECKING:
    from zoo.catalog.manifest import Manifest

METRICS: tuple[Metric, ...] = ("top1", "top5")


@dataclass(frozen=True, slots=True)
class Accuracy:
    """One count with its 95 % intervals, as fractions of 1.

    `whole` is about all `population` images that the run's are part of: how many of them would be right, if
    those that ran are as good as drawn at random. None where they are all of them.
    """

    metric: Metric
    correct: int
    n: int
    wilson: Interval
    exact: Interval
    population: int
    whole: CountInterval | None


def accuracies(result: Result, population: int | None = None) -> list[Accuracy]:
    """Both metrics of a run with images. population: of the claim, where that is known to be larger."""
    size = max(result.n_dataset, population or 0)
    found = []
    for metric in METRICS:
        correct = result.correct(metric)
        whole = finite_population_interval(correct, result.n, size) if result.n < size else None
        wilson, exact = wilson_interval(correct, result.n), clopper_pearson_interval(correct, result.n)
        found.append(Accuracy(metric, correct, result.n, wilson, exact, size, whole))
    return found


@dataclass(frozen=True, slots=True)
class Equivalence:
    """A run beside a claim over the same images, under the claim's preprocessing.

    `off` is how many more images are right than were claimed, `tolerance` how many the manifest allows
    either way.
    """

    metric: Metric
    claimed: int
    correct: int
    off: int
    tolerance: int

    @property
    def holds(self) -> bool:
        """Whether run and claim count as the same."""
        return abs(self.off) <= self.tolerance


def equivalences(manifest: Manifest, result: Result) -> list[Equivalence]:
    """For every claim that the run measured in full."""
    from zoo.claims.gains import claimed_count, departure

    if result.dataset != manifest.dataset or departure(manifest, result) is not None:
        return []
    found = []
    for claim in manifest.claims:
        if claim.n == result.n:
            claimed = claimed_count(claim)
            correct = result.correct(claim.metric)
            off = correct - claimed
            found.append(Equivalence(claim.metric, claimed, correct, off, claim.tolerance_images))
    return found


@dataclass(frozen=True, slots=True)
class TraceAgreement:
    """A run's counts per batch beside those of the published run, batch by batch.

    `equal` of `batches` have the same count, `largest` is the largest difference in images. `correlation` of
    the two sequences tells whether the images came in the same order: 1 if so, about 0 if not; None where
    all batches of one of them are alike.
    """

    metric: Metric
    batches: int
    batch_size: int
    equal: int
    largest: int
    correlation: float | None


def trace_agreement(manifest: Manifest, rows: Sequence[Row]) -> list[TraceAgreement]:
    """For every claim with a trace over as many images as the run. DataError if a trace is damaged."""
    from zoo.claims.trace import read_trace

    found = []
    for claim in manifest.claims:
        if claim.trace is None or claim.n != len(rows):
            continue
        trace = read_trace(manifest.directory / claim.trace, claim.n)
        size, published = trace.batch_size, trace.counts(claim.metric)
        right = [row.correct(claim.metric) for row in rows]
        ours = [sum(right[start : start + size]) for start in range(0, len(right), size)]
        differences = [abs(a - b) for a, b in zip(ours, published, strict=True)]
        found.append(
            TraceAgreement(
                claim.metric,
                len(ours),
                size,
                differences.count(0),
                max(differences),
                _correlation(ours, published),
            )
        )
    return found


@dataclass(frozen=True, slots=True)
class ClassGain:
    """One class under two nets: how many of its `n` images each got right first.

    `p_value` is that of the exact McNemar test on this class alone, times the number of classes (Bonferroni),
    because with hundreds of classes some differ by chance.
    """

    label: int
    n: int
    correct: int
    other_correct: int
    p_value: float

    @property
    def gain(self) -> int:
        """Images gained; negative where they were lost."""
        return self.correct - self.other_correct


def class_gains(rows: Sequence[Row], other: Sequence[Row]) -> list[ClassGain]:
    """Top-1 class by class, the largest gain first. Both runs must be over the same images."""
    theirs = _same_images(rows, other)
    pairs: dict[int, list[tuple[bool, bool]]] = {}
    for row in rows:
        pairs.setdefault(row.label, []).append((row.top1_correct, theirs[row.image].top1_correct))
    gains = []
    for label, verdicts in pairs.items():
        won = sum(ours and not other_right for ours, other_right in verdicts)
        lost = sum(other_right and not ours for ours, other_right in verdicts)
        correct = sum(ours for ours, _ in verdicts)
        p_value = min(1.0, mcnemar_exact(won, lost) * len(pairs))
        gains.append(ClassGain(label, len(verdicts), correct, correct - won + lost, p_value))
    return sorted(gains, key=lambda gain: (-gain.gain, gain.label))


def as_json(found: Sequence[Any]) -> list[dict[str, Any]]:
    """Any of these findings as JSON-able data; the keys are the names of their fields."""
    return [asdict(finding) for finding in found]


def _same_images(rows: Sequence[Row], other: Sequence[Row]) -> Mapping[str, Row]:
    """The other run's rows by image. UsageError if the two did not see the same images."""
    theirs = {row.image: row for row in other}
    missing = next((row.image for row in rows if row.image not in theirs), None)
    if missing is not None or len(theirs) != len(rows):
        what = f"{missing} is only in one of them" if missing else f"{len(rows)} and {len(theirs)} images"
        raise UsageError(f"two runs can be paired only over the same images: {what}")
    for row in rows:
        if row.label != theirs[row.image].label:
            raise UsageError(
                f"two runs can be paired only over the same labels: {row.image} is class {row.label} in one "
                f"and {theirs[row.image].label} in the other"
            )
    return theirs


def _correlation(ours: Sequence[int], theirs: Sequence[int]) -> float | None:
    import numpy as np

    if len(set(ours)) < 2 or len(set(theirs)) < 2:
        return None
    return float(np.corrcoef(ours, theirs)[0, 1])
