"""What `validate` found, gathered: the runs, and everything they are held against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoo.catalog.catalog import Catalog
    from zoo.catalog.manifest import Manifest
    from zoo.claims.audit import Audit
    from zoo.claims.gains import ClassGain, PairedGain
    from zoo.claims.measurement import Accuracy, Measurement
    from zoo.claims.regression import Regression
    from zoo.claims.trace import TraceAgreement
    from zoo.evidence.run import Run
    from zoo.schema import Metric


@dataclass(frozen=True, slots=True)
class Against:
    """The run beside one of another net over the same images."""

    model: str
    gains: dict[Metric, PairedGain]
    classes: list[ClassGain]


@dataclass(frozen=True, slots=True)
class Findings:
    """The runs with their folders, the first one being what was asked for, and what they say."""

    runs: list[tuple[Path, Run]]
    accuracies: list[Accuracy]
    measurements: list[Measurement] = field(default_factory=list)
    trace: list[TraceAgreement] = field(default_factory=list)
    audit: Audit | None = None
    against: Against | None = None
    regression: Regression | None = None

    @property
    def folder(self) -> Path:
        """Where the run that was asked for lies."""
        return self.runs[0][0]

    @property
    def run(self) -> Run:
        """The run that was asked for."""
        return self.runs[0][1]

    @property
    def holds(self) -> bool:
        """Whether no claim is contradicted and nothing changed against the baseline."""
        audited = self.audit is None or self.audit.holds
        return audited and (self.regression is None or self.regression.holds)

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
            "variants": [
                {"out": str(folder), "result": run.result.model_dump(mode="json")}
                for folder, run in self.runs[1:]
            ],
        }


def collect_findings(
    manifest: Manifest | None,
    catalog: Catalog,
    runs: list[tuple[Path, Run]],
    earlier: Run | None,
    tolerance: int | None,
    other: Run | None,
) -> Findings:
    """Hold the first run against the model's claims, an earlier run and the run of another net."""
    from zoo.claims.measurement import accuracies, measurements_of
    from zoo.claims.regression import compare_runs
    from zoo.claims.trace import trace_agreement

    run = runs[0][1]
    result = run.result
    is_claimed = manifest is not None and result.dataset == manifest.dataset
    claims = manifest.claims if manifest is not None and is_claimed else []
    return Findings(
        runs,
        accuracies(result, max((claim.n for claim in claims), default=None)),
        []
        if manifest is None
        else [m for m in measurements_of(manifest, result) if m.difference is not None],
        trace_agreement(manifest, run.rows) if manifest is not None and is_claimed else [],
        _audit(manifest, catalog, runs) if manifest is not None and is_claimed else None,
        None if other is None else _against(run, other),
        None if earlier is None else compare_runs(run, earlier, tolerance),
    )


def _audit(manifest: Manifest, catalog: Catalog, runs: Sequence[tuple[Path, Run]]) -> Audit:
    """The float32 run held against the model's claims, and beside the runs of its baseline that are here."""
    from zoo.claims.audit import audit
    from zoo.evidence.run import find_runs, read_run

    exact = [run for _, run in runs if run.result.precision == "float32"][:1]
    beside: list[Run] = []
    if manifest.baseline is not None:
        folder = Path("results", manifest.baseline)
        beside = [read_run(path) for path in find_runs(folder)] if folder.is_dir() else []
    return audit(manifest, catalog, [*exact, *beside])


def _against(run: Run, other: Run) -> Against:
    from zoo.claims.gains import class_gains, paired_gain
    from zoo.claims.measurement import METRICS

    gains = {metric: paired_gain(metric, run, other) for metric in METRICS}
    return Against(other.result.model, gains, class_gains(run.rows, other.rows))
