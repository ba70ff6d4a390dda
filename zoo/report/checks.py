"""What was checked in a run, for machines: the same list for JUnit and for Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from zoo.claims.audit import Audit
    from zoo.claims.regression import Regression

# A run that goes wrong altogether flips thousands; the evidence has them all.
MOST_IMAGES = 100

Outcome = Literal["passed", "failed", "skipped"]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was checked. `group` is what it is about: the claims, or the baseline."""

    group: str
    name: str
    outcome: Outcome
    detail: str


def checks_of(audit: Audit | None, regression: Regression | None) -> list[Check]:
    """The claims of a model, and what a comparison with an earlier run found."""
    return [*(_claims(audit) if audit is not None else ()), *(_baseline(regression) if regression else ())]


def _claims(audit: Audit) -> Sequence[Check]:
    from zoo.vocabulary import METRIC_NAMES

    checks = []
    for claim in audit.claims:
        outcome: Outcome = "skipped"
        if claim.verdict in ("agrees", "differs"):
            outcome = "passed" if claim.verdict == "agrees" else "failed"
        remarks = "; ".join(run.remark for run in claim.measurements)
        checks.append(
            Check(
                "claims",
                METRIC_NAMES[claim.metric],
                outcome,
                f"{claim.published}: {claim.verdict}, {remarks}",
            )
        )
    return checks


def _baseline(regression: Regression) -> Sequence[Check]:
    verdict: Outcome = "passed" if regression.holds else "failed"
    checks = [Check("baseline", "all images", verdict, regression.verdict())]
    flipped = regression.flipped
    for change in flipped[:MOST_IMAGES]:
        checks.append(
            Check(
                "baseline",
                change.image,
                verdict,
                f"class {change.label}, {' and '.join(change.flipped)} changed: "
                f"{' '.join(map(str, change.before))} then, {' '.join(map(str, change.now))} now",
            )
        )
    if len(flipped) > MOST_IMAGES:
        more = f"{len(flipped) - MOST_IMAGES} more images changed their verdict"
        checks.append(Check("baseline", "and more", verdict, more))
    return checks
