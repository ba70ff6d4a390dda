"""What a run measured: its accuracies with their intervals, and each of them held against a claim."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from zoo.claims.statistics import (
    CountInterval,
    Interval,
    clopper_pearson_interval,
    finite_population_interval,
    wilson_interval,
)
from zoo.vocabulary import METRICS, Metric

if TYPE_CHECKING:
    from zoo.catalog.claim import Claim, PublishedMeasurement
    from zoo.catalog.manifest import Manifest
    from zoo.evidence.run import Result

Verdict = Literal["agrees", "differs", "subset only", "not measured"]
# Many claims are audited at once, so a subset contradicts one only where chance can hardly be the reason.
SUBSET_CONFIDENCE = 0.999


@dataclass(frozen=True, slots=True)
class Accuracy:
    """One count with its 95 % intervals, as fractions of 1.

    `population` is the size of the whole set of images, `whole` the interval for the right images among
    all of them, if those of the run are as good as drawn at random; None for a run over all of them.
    """

    metric: Metric
    correct: int
    n: int
    wilson: Interval
    exact: Interval
    population: int
    whole: CountInterval | None


def accuracies(result: Result, population: int | None = None) -> list[Accuracy]:
    """Both metrics of a run over at least one image.

    population: images of the claim, for a dataset that holds only a part of them.
    """
    size = max(result.n_dataset, population or 0)
    found = []
    for metric in METRICS:
        correct = result.correct(metric)
        whole = finite_population_interval(correct, result.n, size) if result.n < size else None
        found.append(Accuracy(metric, correct, result.n, *_intervals(correct, result.n), size, whole))
    return found


@dataclass(frozen=True, slots=True)
class Measurement:
    """One run held against one claim."""

    metric: Metric
    claimed: int
    """Right images as claimed."""
    tolerance: int
    """By how many images a run over all images of the claim may differ, either way."""
    runtime: str
    device: str
    flavour: str
    n: int
    correct: int
    interval: Interval
    """Of the accuracy, Wilson."""
    exact_interval: Interval
    """Of the accuracy, Clopper-Pearson."""
    difference: int | None
    """`correct` minus `claimed`; None unless the run was over all images of the claim, under its settings."""
    whole_set: CountInterval | None
    """Of a subset: the counts over all images of the claim that are compatible with it, at 99.9 %."""
    verdict: Verdict
    remark: str

    def to_json(self) -> dict[str, Any]:
        """JSON-able data; the keys are the fields, without those that belong to the claim."""
        of_claim = ("metric", "claimed", "tolerance")
        return {name: value for name, value in asdict(self).items() if name not in of_claim}


def measurements_of(manifest: Manifest, result: Result) -> list[Measurement]:
    """The run held against every claim of the model."""
    return [compare_with_claim(claim, manifest, result) for claim in manifest.claims]


def compare_with_claim(claim: Claim, manifest: Manifest, result: Result) -> Measurement:
    """Hold a run over at least one image against one claim of its model."""
    correct = result.correct(claim.metric)
    outcome = _outcome(claim, manifest, result)
    interval, exact_interval = _intervals(correct, result.n)
    return Measurement(
        metric=claim.metric,
        claimed=published_count(claim),
        tolerance=claim.tolerance_images,
        runtime=result.runtime,
        device=result.device,
        flavour=result.flavour,
        n=result.n,
        correct=correct,
        interval=interval,
        exact_interval=exact_interval,
        difference=outcome.difference,
        whole_set=outcome.whole_set,
        verdict=outcome.verdict,
        remark=outcome.remark,
    )


def published_count(entry: Claim | PublishedMeasurement) -> int:
    """The number of right images that is published, or the nearest to the rounded percentage."""
    return round(entry.percent * entry.n / 100) if entry.correct is None else entry.correct


def why_not_comparable(manifest: Manifest, result: Result) -> str | None:
    """Why a run says nothing about the claims: other preprocessing or less than float32; None if it does."""
    if manifest.preprocessing is None:
        return "and the model states no preprocessing"
    settings = manifest.preprocessing.model_dump(exclude_none=True)
    if settings != {name: value for name, value in result.preprocessing.items() if value is not None}:
        own = manifest.preprocessing.flavour
        if result.flavour != own:
            return f"under {result.flavour}, not the claim's {own}"
        return f"under other preprocessing than the claim's {own}"
    return None if result.precision == "float32" else f"computed in {result.precision}, not in float32"


class _Outcome(NamedTuple):
    verdict: Verdict
    remark: str
    difference: int | None = None
    whole_set: CountInterval | None = None


def _outcome(claim: Claim, manifest: Manifest, result: Result) -> _Outcome:
    if result.dataset != manifest.dataset:
        return _Outcome("not measured", f"on other images ({result.dataset})")
    if (reason := why_not_comparable(manifest, result)) is not None:
        return _Outcome("not measured", reason)
    if result.n > claim.n:
        return _Outcome("not measured", f"on {result.n} images, more than the claim's {claim.n}")
    correct, claimed = result.correct(claim.metric), published_count(claim)
    if result.n == claim.n:
        difference = correct - claimed
        agrees = abs(difference) <= claim.tolerance_images
        return _Outcome("agrees" if agrees else "differs", _difference_words(difference), difference)
    whole_set = finite_population_interval(correct, result.n, claim.n, SUBSET_CONFIDENCE)
    distance = max(whole_set.low - claimed, claimed - whole_set.high)
    remark = (
        f"{result.n} of {claim.n} images; {whole_set.low} to {whole_set.high} right of all would fit, "
        f"at {100 * SUBSET_CONFIDENCE:g} % confidence"
    )
    verdict: Verdict = "subset only" if distance <= claim.tolerance_images else "differs"
    return _Outcome(verdict, remark, whole_set=whole_set)


def _difference_words(difference: int) -> str:
    if difference == 0:
        return "the same count"
    images = "image" if abs(difference) == 1 else "images"
    return f"{abs(difference)} {images} {'more' if difference > 0 else 'fewer'} right"


def _intervals(correct: int, n: int) -> tuple[Interval, Interval]:
    """Wilson's and the exact one."""
    return wilson_interval(correct, n), clopper_pearson_interval(correct, n)
