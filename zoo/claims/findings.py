"""What `validate` found, gathered: the runs, and everything they are held against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoo.catalog.catalog import Catalog
    from zoo.catalog.manifest import Manifest
    from zoo.claims.assessment import Accuracy, ClassGain, Equivalence, TraceAgreement
    from zoo.claims.audit import Audit
    from zoo.claims.gains import PairedGain
    from zoo.claims.regression import Regression
    from zoo.evidence.run import Result, Run
    from zoo.vocabulary import Metric


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
    claims: list[Equivalence] = field(default_factory=list)
    trace: list[TraceAgreement] = field(default_factory=list)
    audit: Audit | None = None
    against: Against | None = None
    regression: Regression | None = None

    @property
    def result(self) -> Result:
        """Of the run that was asked for."""
        return self.runs[0][1][0]

    @property
    def holds(self) -> bool:
        """Whether no claim is contradicted and nothing changed against the baseline."""
        audited = self.audit is None or self.audit.holds
        return audited and (self.regression is None or self.regression.holds)


def collect_findings(
    manifest: Manifest | None,
    catalog: Catalog,
    runs: list[tuple[Path, Run]],
    earlier: Run | None,
    tolerance: int | None,
    other: Run | None,
) -> Findings:
    """Hold the first run against the model's claims, an earlier run and the run of another net."""
    from zoo.claims.assessment import accuracies, equivalences, trace_agreement
    from zoo.claims.regression import compare_runs

    result, rows = runs[0][1]
    is_claimed = manifest is not None and result.dataset == manifest.dataset
    claims = manifest.claims if manifest is not None and is_claimed else []
    return Findings(
        runs,
        accuracies(result, max((claim.n for claim in claims), default=None)),
        [] if manifest is None else equivalences(manifest, result),
        trace_agreement(manifest, rows) if manifest is not None and is_claimed else [],
        _audit(manifest, catalog, runs) if manifest is not None and is_claimed else None,
        None if other is None else _against(runs[0][1], other),
        None if earlier is None else compare_runs(result, rows, *earlier, tolerance),
    )


def _audit(manifest: Manifest, catalog: Catalog, runs: Sequence[tuple[Path, Run]]) -> Audit:
    """The float32 run held against the model's claims, and beside the runs of its baseline that are here."""
    from zoo.claims.audit import audit
    from zoo.evidence.run import find_runs, read_run

    exact = [run for _, run in runs if run[0].precision == "float32"][:1]
    beside: list[Run] = []
    if manifest.baseline is not None:
        folder = Path("results", manifest.baseline)
        beside = [read_run(path) for path in find_runs(folder)] if folder.is_dir() else []
    return audit(manifest, catalog, [*exact, *beside])


def _against(run: Run, other: Run) -> Against:
    from zoo.claims.assessment import METRICS, class_gains
    from zoo.claims.gains import paired_gain

    (result, rows), (theirs, their_rows) = run, other
    classes = class_gains(rows, their_rows)
    gains = {metric: paired_gain(metric, result, rows, their_rows) for metric in METRICS}
    return Against(theirs.model, gains, classes)


def as_json(found: Findings) -> dict[str, Any]:
    """See the command's help for the keys."""
    from dataclasses import asdict

    from zoo.claims import assessment

    return {
        "result": found.result.model_dump(mode="json"),
        "out": str(found.runs[0][0]),
        "accuracies": assessment.as_json(found.accuracies),
        "claims": [{**asdict(claim), "holds": claim.holds} for claim in found.claims],
        "trace": assessment.as_json(found.trace),
        "audit": None if found.audit is None else found.audit.to_json(),
        "against": None if found.against is None else asdict(found.against),
        "baseline": None if found.regression is None else found.regression.to_json(),
        "variants": [
            {"out": str(folder), "result": result.model_dump(mode="json")}
            for folder, (result, _) in found.runs[1:]
        ],
    }
