"""The gain of a model over its baseline by preparation: as published, by others, by runs here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal

from zoo.claims.gains import PairedGain, UnpairedGain, paired_gain, unpaired_gain
from zoo.claims.measurement import published_count
from zoo.claims.preparation import Preparation, of_claim, of_measurement, of_run
from zoo.claims.trace import percent_decimals
from zoo.evidence.pairing import find_difference
from zoo.vocabulary import METRICS, Metric

if TYPE_CHECKING:
    from zoo.catalog.claim import Claim, PublishedMeasurement
    from zoo.catalog.manifest import Manifest
    from zoo.evidence.run import Run

Basis = Literal["published", "others", "here"]
Verdict = Literal["stands", "shrinks", "undecided"]
Standing = Literal[
    "stands", "shrinks", "undecided", "depends on the preparation", "unknown", "nothing claimed"
]


@dataclass(frozen=True, slots=True)
class Figure:
    """One accuracy of a comparison, and whose it is."""

    who: str
    """The party that measured; of a run, its runtime."""
    correct: int
    n: int
    exact: bool
    """Whether the count is known; otherwise it is the nearest to a rounded percentage."""
    percent: float
    """As published, else computed from the counts."""
    decimals: int | None = None
    """How many digits after the point of `percent` were published; None where the count is known."""
    source: str | None = None
    """Where it is published; None for a run here."""
    note: str | None = None
    change: float | None = None
    """This accuracy minus the net's claimed one, as a fraction of 1; None unless over the same images."""


@dataclass(frozen=True, slots=True)
class PreparedGain:
    """Model and baseline under one preparation. One of the figures may be missing, and with it the gain."""

    preparation: Preparation
    basis: Basis
    model: Figure | None
    baseline: Figure | None
    gain: UnpairedGain | PairedGain | None = None
    verdict: Verdict | None = None
    """What the gain says of the claimed one; None of the claim itself, and where there is no gain."""
    other_images: str | None = None
    """The dataset, if not the one that the claims are about; then nothing follows for the claimed gain."""


@dataclass(frozen=True, slots=True)
class GainsByPreparation:
    """All that is known of the gain of a model over its baseline in one metric."""

    model: str
    baseline: str
    metric: Metric
    rows: list[PreparedGain]

    @property
    def claimed(self) -> UnpairedGain | None:
        """The published gain, or None."""
        gains = (row.gain for row in self.rows if row.basis == "published")
        return next((gain for gain in gains if isinstance(gain, UnpairedGain)), None)

    @property
    def standing(self) -> Standing:
        """What is known of the claimed gain from all that was measured apart from the claim."""
        if self.claimed is None or not self.claimed.significant or self.claimed.gain < 0:
            return "nothing claimed"
        verdicts = {row.verdict for row in self.rows if row.verdict is not None}
        decided = verdicts - {"undecided"}
        if len(decided) > 1:
            return "depends on the preparation"
        return next(iter(decided or verdicts), "unknown")

    def to_json(self) -> dict[str, Any]:
        """JSON-able data; the keys are the fields of these classes, and `standing`."""
        return {**asdict(self), "standing": self.standing}


def gains_by_preparation(
    manifest: Manifest, baseline: Manifest, runs: Sequence[Run] = ()
) -> list[GainsByPreparation]:
    """One entry for each metric in which anything is known of both nets or measured by others for one.

    Rows: first the published pair, then what others measured, then the runs here. The numbers of one party
    are compared with each other. Where no party measured both nets under a preparation, two parties are.
    Which preparations are the same: `zoo.claims.preparation`.
    """
    found = []
    for metric in METRICS:
        ours, theirs = manifest.claim(metric), baseline.claim(metric)
        published = _published(manifest, ours, baseline, theirs)
        claimed = None if published is None else published.gain
        rows = [] if published is None else [published]
        others = list(_by_others(metric, manifest, baseline))
        for row in (*others, *_here(metric, manifest, baseline, runs)):
            rows.append(row if row.other_images else _against_claims(row, claimed, ours, theirs))
        if any(row.gain is not None for row in rows):
            found.append(GainsByPreparation(manifest.name, baseline.name, metric, rows))
    return found


def _against_claims(
    row: PreparedGain, claimed: UnpairedGain | PairedGain | None, ours: Claim | None, theirs: Claim | None
) -> PreparedGain:
    return replace(
        row,
        model=_with_change(row.model, ours),
        baseline=_with_change(row.baseline, theirs),
        verdict=verdict_on(claimed, row.gain),
    )


def verdict_on(
    claimed: UnpairedGain | PairedGain | None, measured: UnpairedGain | PairedGain | None
) -> Verdict | None:
    """What a measured gain says of the claimed one, by its 95 % interval and its test.

    shrinks: the claimed gain is larger than any that fits. stands: it is not, and the measured gain is
    significant. undecided: the claimed gain fits, and so does none at all. None: no gain is claimed, or none
    was measured.
    """
    if claimed is None or measured is None or not claimed.significant or claimed.gain < 0:
        return None
    if claimed.gain > measured.interval.high:
        return "shrinks"
    return "stands" if measured.significant and measured.gain > 0 else "undecided"


def _published(
    manifest: Manifest, ours: Claim | None, baseline: Manifest, theirs: Claim | None
) -> PreparedGain | None:
    """The claims of both nets: they were published side by side, whether or not the preparation is stated."""
    if ours is None or theirs is None:
        return None
    preparation, other = of_claim(ours, manifest), of_claim(theirs, baseline)
    model, base = _of_claim(ours), _of_claim(theirs)
    return PreparedGain(preparation.shared_with(other), "published", model, base, _unpaired(model, base))


def _by_others(metric: Metric, manifest: Manifest, baseline: Manifest) -> Iterator[PreparedGain]:
    ours = [
        (found, of_measurement(found, manifest)) for found in manifest.measurements if found.metric == metric
    ]
    theirs = [
        (found, of_measurement(found, baseline)) for found in baseline.measurements if found.metric == metric
    ]
    pairs = _pairs_of_others(ours, theirs)
    for (found, preparation), (other, its) in pairs:
        model, base = _of_measurement(found), _of_measurement(other)
        yield PreparedGain(preparation.shared_with(its), "others", model, base, _unpaired(model, base))
    used = [found for pair in pairs for found, _ in pair]
    for found, preparation in ours:
        if found not in used:
            yield PreparedGain(preparation, "others", _of_measurement(found), None)
    for found, preparation in theirs:
        if found not in used:
            yield PreparedGain(preparation, "others", None, _of_measurement(found))


Measured = tuple["PublishedMeasurement", Preparation]


def _pairs_of_others(ours: Sequence[Measured], theirs: Sequence[Measured]) -> list[tuple[Measured, Measured]]:
    """What is compared: both by one party, else by two parties, under the same preparation."""
    by_one = [
        (mine, other)
        for mine in ours
        for other in theirs
        if mine[0].who == other[0].who
        and (mine[1].is_same_as(other[1]) or (mine[0].source == other[0].source and mine[1] == other[1]))
    ]
    by_two = [
        (mine, other)
        for mine in ours
        for other in theirs
        if mine[1].is_same_as(other[1]) and not any(mine[1].is_same_as(paired[1]) for paired, _ in by_one)
    ]
    return by_one + by_two


def _here(
    metric: Metric, manifest: Manifest, baseline: Manifest, runs: Sequence[Run]
) -> Iterator[PreparedGain]:
    """Runs of both nets in float32 with the same runtime and device over the same images."""

    def runs_of(model: Manifest) -> list[tuple[Run, Preparation]]:
        usable = (run for run in runs if run.result.model == model.name and run.result.n)
        return [(run, of_run(run.result, model)) for run in usable if run.result.precision == "float32"]

    others = runs_of(baseline)
    for run, preparation in runs_of(manifest):
        for other, its in others:
            ours, theirs = run.result, other.result
            alike = (ours.runtime, ours.device) == (theirs.runtime, theirs.device)
            if alike and preparation.is_same_as(its) and find_difference(run.rows, other.rows) is None:
                yield PreparedGain(
                    preparation,
                    "here",
                    _of_run(run, metric),
                    _of_run(other, metric),
                    paired_gain(metric, run, other),
                    other_images=None if ours.dataset == manifest.dataset else ours.dataset,
                )


def _of_claim(claim: Claim) -> Figure:
    return _published_figure(claim, "as published", claim.how)


def _of_measurement(found: PublishedMeasurement) -> Figure:
    return _published_figure(found, found.who, found.note)


def _published_figure(entry: Claim | PublishedMeasurement, who: str, note: str | None) -> Figure:
    exact = entry.correct is not None
    return Figure(
        who=who,
        correct=published_count(entry),
        n=entry.n,
        exact=exact,
        percent=entry.percent,
        decimals=None if exact else percent_decimals(entry.published),
        source=entry.source,
        note=note,
    )


def _of_run(run: Run, metric: Metric) -> Figure:
    result = run.result
    correct = result.correct(metric)
    return Figure(result.runtime, correct, result.n, True, 100 * correct / result.n)


def _unpaired(model: Figure, baseline: Figure) -> UnpairedGain:
    exact = model.exact and baseline.exact
    return unpaired_gain(model.correct, model.n, baseline.correct, baseline.n, exact=exact)


def _with_change(figure: Figure | None, claim: Claim | None) -> Figure | None:
    """The figure with its distance from the claim, which another set of images would not tell."""
    if figure is None or claim is None or figure.n != claim.n:
        return figure
    change = Fraction(figure.correct - published_count(claim), claim.n)
    return replace(figure, change=float(change))
