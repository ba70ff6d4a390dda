"""What `validate` found, gathered: the runs, and everything they are held against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.cli._common import load_catalog
from zoo.errors import UsageError

if TYPE_CHECKING:
    from zoo.assessment import Accuracy, ClassGain, Equivalence, TraceAgreement
    from zoo.audit import Audit
    from zoo.cli._subject import Subject
    from zoo.evidence import Result
    from zoo.gains import PairedGain
    from zoo.manifest import Metric
    from zoo.regression import Regression
    from zoo.validate import Run


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


def findings(
    subject: Subject,
    runs: list[tuple[Path, Run]],
    manifests: list[Path] | None,
    earlier: Run | None,
    tolerance: int | None,
    other: Run | None,
) -> Findings:
    """Hold the first run against the model's claims, an earlier run and the run of another net."""
    from zoo.assessment import accuracies, equivalences, trace_agreement
    from zoo.regression import compare_runs

    result, rows = runs[0][1]
    manifest = subject.manifest
    is_claimed = manifest is not None and result.dataset == manifest.dataset
    claims = manifest.claims if manifest is not None and is_claimed else []
    return Findings(
        runs,
        accuracies(result, max((claim.n for claim in claims), default=None)),
        [] if manifest is None else equivalences(manifest, result),
        trace_agreement(manifest, rows) if manifest is not None and is_claimed else [],
        _audit(subject, runs, manifests) if is_claimed else None,
        None if other is None else _against(runs[0][1], other),
        None if earlier is None else compare_runs(result, rows, *earlier, tolerance),
    )


def _audit(subject: Subject, runs: Sequence[tuple[Path, Run]], manifests: list[Path] | None) -> Audit | None:
    """The float32 run held against the model's claims, and beside the runs of its baseline that are here."""
    from zoo.audit import audit
    from zoo.evidence import find_runs, read_run

    manifest = subject.manifest
    assert manifest is not None
    exact = [run for _, run in runs if run[0].precision == "float32"][:1]
    beside: list[Run] = []
    if manifest.baseline is not None:
        folder = Path("results", manifest.baseline)
        beside = [read_run(path) for path in find_runs(folder)] if folder.is_dir() else []
    return audit(manifest, load_catalog(manifests), [*exact, *beside])


def _against(run: Run, other: Run) -> Against:
    from zoo.assessment import METRICS, class_gains
    from zoo.gains import paired_gain

    (result, rows), (theirs, their_rows) = run, other
    classes = class_gains(rows, their_rows)
    gains = {metric: paired_gain(metric, result, rows, their_rows) for metric in METRICS}
    return Against(theirs.model, gains, classes)


def as_json(found: Findings) -> dict[str, Any]:
    """See the command's help for the keys."""
    from dataclasses import asdict

    from zoo import assessment

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


def write_reports(found: Findings, junit_path: Path | None, markdown_path: Path | None) -> None:
    """The checks for machines. Markdown is appended, as GitHub's summary file wants it."""
    from zoo.disk import replacing
    from zoo.report.checks import checks_of
    from zoo.report.junit import junit
    from zoo.report.markdown import markdown

    checks = checks_of(found.audit, found.regression)
    place = junit_path
    try:
        if junit_path is not None:
            with replacing(junit_path) as temporary:
                temporary.write_text(junit(found.result, checks), encoding="utf-8")
        place = markdown_path
        if markdown_path is not None:
            with markdown_path.open("a", encoding="utf-8") as file:
                file.write(markdown(found.result, found.accuracies, checks))
    except OSError as error:
        raise UsageError(f"{place}: cannot be written: {error.strerror}") from error
