"""Claims against evidence: what was published, what its own trace says, what was measured here.

`audit` takes one manifest and all available runs and returns an `Audit`: plain data for the terminal, JSON
and the report page. It is a problem if a claim does not follow from its own trace, if a run over the claim's
images under the claim's preprocessing differs by more than the manifest tolerates, if a subset makes the
claim implausible, or if a run used other files than the pinned ones. A gain that is not significant,
published values that contradict each other and a claim that nobody measured are findings, not problems.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from zoo.catalog.claim import Claim
from zoo.catalog.manifest import Manifest
from zoo.claims.derivation import Derivation, Reprint, derive, derive_loss
from zoo.claims.gains import Gain, gains_over_baseline
from zoo.claims.measurement import Measurement, Verdict, compare_with_claim
from zoo.claims.prepared_gains import GainsByPreparation, gains_by_preparation
from zoo.errors import UsageError
from zoo.vocabulary import METRIC_NAMES, Metric

if TYPE_CHECKING:
    from zoo.catalog.catalog import Catalog
    from zoo.evidence.run import Result, Run


@dataclass(frozen=True, slots=True)
class ClaimAudit:
    """One claim, whether it follows from its trace, and the runs held against it."""

    metric: Metric
    n: int
    correct: int | None
    published: str
    percent: float
    source: str
    how: str
    derivation: Derivation | None
    measurements: list[Measurement]
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class ConflictAudit:
    """Another published value for the same metric."""

    metric: Metric
    published: str
    percent: float
    source: str
    note: str
    difference_points: float | None
    """Its accuracy minus the claim's, in percentage points."""


@dataclass(frozen=True, slots=True)
class Audit:
    """Everything known about one model's claims."""

    model: str
    title: str
    framework: str
    dataset: str | None
    baseline: str | None
    trust: Literal["pinned", "unpinned"]
    unpinned_files: list[str]
    claims: list[ClaimAudit]
    gains: list[Gain]
    conflicts: list[ConflictAudit]
    by_preparation: list[GainsByPreparation] = field(default_factory=list)
    """The gain over the baseline under every preparation, as published, by others and by runs here."""
    loss: Reprint | None = None
    """The average loss of the published test run, from the same trace."""
    problems: list[str] = field(default_factory=list)
    """What does not hold, one sentence each."""

    @property
    def holds(self) -> bool:
        """Whether there is no problem."""
        return not self.problems

    def to_json(self) -> dict[str, Any]:
        """JSON-able data; the keys are the fields of these classes, and `holds`."""
        data = asdict(self)
        for entry, claim in zip(data["claims"], self.claims, strict=True):
            entry["measurements"] = [measurement.to_json() for measurement in claim.measurements]
        data["by_preparation"] = [found.to_json() for found in self.by_preparation]
        return {"schema_version": 1, **data, "holds": self.holds}


def audit(manifest: Manifest, catalog: Catalog, runs: Sequence[Run] = ()) -> Audit:
    """Hold the claims of one model against their traces and against its runs and those of its baseline.

    Runs of other models are ignored. Raises UsageError if the baseline is not in the catalog and DataError if
    a trace is damaged.
    """
    own = [run.result for run in runs if run.result.model == manifest.name and run.result.n]
    claims = [_audit_claim(claim, manifest, own) for claim in manifest.claims]
    baseline = catalog.baseline(manifest)
    sources = manifest.source_files()
    loss = derive_loss(manifest)
    return Audit(
        model=manifest.name,
        title=manifest.title,
        framework=manifest.framework,
        dataset=manifest.dataset,
        baseline=manifest.baseline,
        trust="pinned" if all(file.trust == "pinned" for file in sources) else "unpinned",
        unpinned_files=[file.name for file in sources if file.trust == "unpinned"],
        claims=claims,
        gains=[] if baseline is None else gains_over_baseline(manifest, baseline, runs),
        conflicts=_conflicts(manifest),
        by_preparation=[] if baseline is None else gains_by_preparation(manifest, baseline, runs),
        loss=loss,
        problems=[
            *(problem for claim in claims for problem in _claim_problems(claim)),
            *([loss.contradiction("loss")] if loss is not None and not loss.holds else []),
            *(problem for result in own for problem in _file_problems(manifest, result)),
        ],
    )


def _audit_claim(claim: Claim, manifest: Manifest, results: Sequence[Result]) -> ClaimAudit:
    measurements = [compare_with_claim(claim, manifest, result) for result in results]
    verdicts = {measurement.verdict for measurement in measurements}
    order: tuple[Verdict, ...] = ("differs", "agrees", "subset only")
    return ClaimAudit(
        metric=claim.metric,
        n=claim.n,
        correct=claim.correct,
        published=claim.published,
        percent=claim.percent,
        source=claim.source,
        how=claim.how,
        derivation=derive(claim, manifest),
        measurements=measurements,
        verdict=next((verdict for verdict in order if verdict in verdicts), "not measured"),
    )


def _claim_problems(claim: ClaimAudit) -> list[str]:
    problems = []
    published = f"{METRIC_NAMES[claim.metric]}: published is '{claim.published}'"
    derivation = claim.derivation
    if derivation is not None:
        metric = METRIC_NAMES[claim.metric]
        problems += [other.contradiction(metric) for other in derivation.also if not other.holds]
    if derivation is not None and not derivation.holds:
        problems.append(
            f"{published} ({claim.correct} of {claim.n}), its trace {derivation.trace} "
            f"gives '{derivation.printed}' ({derivation.correct})"
        )
    for run in claim.measurements:
        if run.verdict == "differs":
            problems.append(
                f"{published}, measured {run.correct} of {run.n} with {run.runtime} on {run.device}: "
                f"{run.remark}"
            )
    return problems


def _file_problems(manifest: Manifest, result: Result) -> list[str]:
    """The source files that the run does not name, or names with another hash than the manifest."""
    problems = []
    for file in manifest.source_files():
        used = result.files.get(file.name)
        if used is None:
            problems.append(f"the {result.runtime} run does not say which {file.name} it used")
        elif file.sha256 not in (None, used):
            problems.append(
                f"the {result.runtime} run used a {file.name} with sha256 {used}, "
                f"the manifest pins {file.sha256}"
            )
    return problems


def _conflicts(manifest: Manifest) -> list[ConflictAudit]:
    found = []
    for conflict in manifest.conflicts:
        claim = manifest.claim(conflict.metric)
        found.append(
            ConflictAudit(
                metric=conflict.metric,
                published=conflict.published,
                percent=conflict.percent,
                source=conflict.source,
                note=conflict.note,
                difference_points=None if claim is None else round(conflict.percent - claim.percent, 6),
            )
        )
    return found


@dataclass(frozen=True, slots=True)
class AuditedModel:
    """One model with its audit and the results of its runs."""

    manifest: Manifest
    audit: Audit
    results: list[Result]


def audited_models(catalog: Catalog, runs: Sequence[Run]) -> list[AuditedModel]:
    """Audit every model of the catalog that was run. UsageError if there is none."""
    names = sorted({run.result.model for run in runs if run.result.model in catalog})
    if not names:
        models = ", ".join(sorted({run.result.model for run in runs}))
        raise UsageError(f"no run is of a model in the catalog (they are of {models}); give --manifests DIR")
    manifests = [catalog.get(name) for name in names]
    return [
        AuditedModel(
            manifest,
            audit(manifest, catalog, runs),
            [run.result for run in runs if run.result.model == manifest.name],
        )
        for manifest in manifests
    ]
