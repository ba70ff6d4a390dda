"""Everything `validate` found: the runs, and their comparison with claims, baselines and other nets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.bundled import LABEL_ORDERS
from zoo.claims.audit import Audit, audit
from zoo.claims.gain_matrix import GainMatrix, gain_matrix
from zoo.claims.gains import ClassGain, PairedGain, class_gains, paired_gain
from zoo.claims.measurement import Accuracy, Measurement, accuracies, measurements_of
from zoo.claims.minimum import Minimum, minimums_of
from zoo.claims.regression import Regression, compare_runs
from zoo.claims.trace import TraceAgreement, trace_agreement
from zoo.evidence.run import find_runs, read_run
from zoo.vocabulary import METRICS, Metric

if TYPE_CHECKING:
    from zoo.catalog.catalog import Catalog
    from zoo.catalog.manifest import Manifest
    from zoo.evidence.run import Run


@dataclass(frozen=True, slots=True)
class PairedGains:
    """The run compared with a run of another net over the same images."""

    model: str
    gains: dict[Metric, PairedGain]
    classes: list[ClassGain]


@dataclass(frozen=True, slots=True)
class Findings:
    """The runs with their folders, and what they say.

    The first run is the one asked for; the others are its variants. `measurements` are against the claims
    whose images the first run covers in full.
    """

    runs: list[tuple[Path, Run]]
    accuracies: list[Accuracy]
    measurements: list[Measurement] = field(default_factory=list)
    trace: list[TraceAgreement] = field(default_factory=list)
    audit: Audit | None = None
    against: PairedGains | None = None
    regression: Regression | None = None
    minimums: list[Minimum] = field(default_factory=list)
    label_order: str | None = None
    """The order of the classes, if it is known."""

    @property
    def class_names(self) -> Sequence[str]:
        """What the classes mean, in the order of the labels; empty if that is not known."""
        return [] if self.label_order is None else LABEL_ORDERS[self.label_order].class_names()

    @property
    def folder(self) -> Path:
        """The folder of the run that was asked for."""
        return self.runs[0][0]

    @property
    def run(self) -> Run:
        """The run that was asked for."""
        return self.runs[0][1]

    @property
    def holds(self) -> bool:
        """Whether the audit, the comparison with the earlier run and all minimums hold."""
        audited = self.audit is None or self.audit.holds
        return (
            audited
            and all(minimum.holds for minimum in self.minimums)
            and (self.regression is None or self.regression.holds)
        )

    def to_json(self) -> dict[str, Any]:
        """JSON-able data; the help of `dsd-zoo validate` explains the keys."""
        return {
            "result": self.run.result.model_dump(mode="json"),
            "out": str(self.folder),
            "accuracies": [asdict(accuracy) for accuracy in self.accuracies],
            "claims": [
                {
                    "metric": measured.metric,
                    "claimed": measured.claimed,
                    "correct": measured.correct,
                    "off": measured.difference,
                    "tolerance": measured.tolerance,
                    "holds": measured.verdict == "agrees",
                }
                for measured in self.measurements
            ],
            "trace": [asdict(agreement) for agreement in self.trace],
            "audit": None if self.audit is None else self.audit.to_json(),
            "against": None if self.against is None else asdict(self.against),
            "baseline": None if self.regression is None else self.regression.to_json(),
            "minimums": [minimum.to_json() for minimum in self.minimums],
            "variants": [
                {"out": str(folder), "result": run.result.model_dump(mode="json")}
                for folder, run in self.runs[1:]
            ],
        }


@dataclass(frozen=True, slots=True)
class PassFindings:
    """What one pass says about each of its nets, and about each pair of a net and its baseline.

    other: the run of another net with which each net is compared.
    """

    nets: list[Findings]
    pairs: list[GainMatrix] = field(default_factory=list)
    other: Run | None = None

    @property
    def holds(self) -> bool:
        """Whether the findings of every net hold."""
        return all(found.holds for found in self.nets)

    def to_json(self) -> dict[str, Any]:
        """JSON-able data: of one net its findings; of several the findings of each, and the pairs."""
        if len(self.nets) == 1:
            return self.nets[0].to_json()
        return {
            "nets": [found.to_json() for found in self.nets],
            "pairs": [pair.to_json() for pair in self.pairs],
        }


def collect_pass(
    manifests: Sequence[Manifest | None],
    catalog: Catalog,
    runs: Sequence[list[tuple[Path, Run]]],
    earlier: Mapping[str, Run],
    tolerance: int | None = None,
    other: Run | None = None,
    reference: str | None = None,
    max_drop: float | None = None,
    minimums: Mapping[Metric, float] | None = None,
    label_order: str | None = None,
) -> PassFindings:
    """The findings of each net of a pass, each with the runs of the others beside it, and the pairs.

    manifests, runs: of each net; no manifest for files of the user's own.
    earlier: an earlier run of some of the nets, by name.
    minimums: accuracies in percent that every net must reach.
    label_order: that of the images, if it is known; for nets of which no manifest says it.
    Other arguments and errors as for `collect_findings` and `collect_pairs`.
    """
    found = []
    for manifest, of_net in zip(manifests, runs, strict=True):
        beside = [placed for others in runs if others is not of_net for placed in others]
        before = earlier.get(of_net[0][1].result.model)
        of_one = collect_findings(manifest, catalog, of_net, before, tolerance, other, beside, max_drop)
        found.append(
            replace(
                of_one,
                minimums=minimums_of(of_net[0][1].result, minimums or {}),
                label_order=(None if manifest is None else manifest.label_order) or label_order,
            )
        )
    return PassFindings(
        found, collect_pairs(manifests, [[run for _, run in of_net] for of_net in runs], reference), other
    )


def without_comparisons(runs: Sequence[list[tuple[Path, Run]]]) -> PassFindings:
    """What the runs of a pass say by themselves, where they could not be compared with anything."""
    return PassFindings([Findings(of_net, accuracies(of_net[0][1].result, None)) for of_net in runs])


def collect_pairs(
    manifests: Sequence[Manifest | None], runs: Sequence[Sequence[Run]], reference: str | None = None
) -> list[GainMatrix]:
    """The gains of the nets of a pass: of each model over its baseline, if the pass has both.

    manifests, runs: of each net; no manifest for files of the user's own.
    reference: the name of a net with which all others are compared, too.
    """
    by_name = {of_net[0].result.model: of_net for of_net in runs}
    pairs = []
    for manifest, of_net in zip(manifests, runs, strict=True):
        name = of_net[0].result.model
        wanted = [None if manifest is None else manifest.baseline, reference]
        pairs += [
            gain_matrix(of_net, by_name[other])
            for other in dict.fromkeys(wanted)
            if other is not None and other in by_name and other != name
        ]
    return pairs


def collect_findings(
    manifest: Manifest | None,
    catalog: Catalog,
    runs: list[tuple[Path, Run]],
    earlier: Run | None,
    tolerance: int | None,
    other: Run | None,
    beside: Sequence[tuple[Path, Run]] = (),
    max_drop: float | None = None,
) -> Findings:
    """Hold the first run against the model's claims, an earlier run and a run of another net.

    manifest: of the model; None for files of the user's own.
    tolerance, max_drop: how many images may change their verdict against `earlier`, and how many points may
        be lost; see `compare_runs`.
    beside: runs of other nets of the same pass, with their folders.

    Raises:
        UsageError: `earlier` or `other` is not over the same images.
        DataError: a trace of the manifest is damaged.
    """
    run = runs[0][1]
    result = run.result
    # The claims of a model are about its dataset; a run over another one says nothing about them.
    claimed = manifest if manifest is not None and result.dataset == manifest.dataset else None
    population = None if claimed is None else max((claim.n for claim in claimed.claims), default=None)
    measurements = [] if claimed is None else measurements_of(claimed, result)
    return Findings(
        runs,
        accuracies(result, population),
        measurements=[measured for measured in measurements if measured.difference is not None],
        trace=[] if claimed is None else trace_agreement(claimed, run.rows),
        audit=None if claimed is None else _audit(claimed, catalog, runs, beside),
        against=None if other is None else _paired_gains(run, other),
        regression=None if earlier is None else compare_runs(run, earlier, tolerance, max_drop),
    )


def _audit(
    manifest: Manifest,
    catalog: Catalog,
    runs: Sequence[tuple[Path, Run]],
    beside: Sequence[tuple[Path, Run]],
) -> Audit:
    """The audit of the first float32 run, with the runs of the baseline: those in results/ and `beside`."""
    exact = [run for _, run in runs if run.result.precision == "float32"][:1]
    others: list[Run] = []
    if manifest.baseline is not None:
        here = {folder.resolve() for folder, _ in beside}
        found = find_runs(Path("results", manifest.baseline))
        others = [read_run(path) for path in found if path.resolve() not in here]
        others += [run for _, run in beside if run.result.model == manifest.baseline]
    return audit(manifest, catalog, [*exact, *others])


def _paired_gains(run: Run, other: Run) -> PairedGains:
    gains = {metric: paired_gain(metric, run, other) for metric in METRICS}
    return PairedGains(other.result.model, gains, class_gains(run.rows, other.rows))
