"""What was checked about a run, as test cases: the same list for JUnit XML and for Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from zoo.report import words
from zoo.vocabulary import METRIC_NAMES

if TYPE_CHECKING:
    from zoo.claims.audit import Audit
    from zoo.claims.findings import Findings
    from zoo.claims.minimum import Minimum
    from zoo.claims.regression import Regression

# If a run goes wrong altogether, thousands of images change; the evidence names them all.
MAX_IMAGES = 100

Outcome = Literal["passed", "failed", "skipped", "error"]


@dataclass(frozen=True, slots=True)
class TestCase:
    """One thing that was checked. `group` says against what: "claims", "minimum" or "baseline".

    An "error" is of the group "run": it kept the run from being held against something.
    """

    group: str
    name: str
    outcome: Outcome
    detail: str


def cases_of(
    audit: Audit | None,
    regression: Regression | None,
    error: str | None = None,
    minimums: Sequence[Minimum] = (),
    names: Sequence[str] = (),
) -> list[TestCase]:
    """One case per claim of the audit and minimum, those of the comparison with an earlier run, an error.

    names: of the classes.
    """
    claims = [] if audit is None else _claim_cases(audit)
    baseline = [] if regression is None else _baseline_cases(regression, names)
    reached = [_minimum_case(minimum) for minimum in minimums]
    return [*claims, *reached, *baseline, *([] if error is None else [error_case(error)])]


def all_cases(found: Findings, error: str | None = None) -> list[TestCase]:
    """`cases_of` everything that was found of a net."""
    return cases_of(found.audit, found.regression, error, found.minimums, found.class_names)


def error_case(error: str) -> TestCase:
    """The error that ended a run, or kept it from being compared."""
    return TestCase("run", "completed", "error", error)


def _claim_cases(audit: Audit) -> list[TestCase]:

    outcomes: dict[str, Outcome] = {"agrees": "passed", "differs": "failed"}
    cases = []
    for claim in audit.claims:
        remarks = "; ".join(measured.remark for measured in claim.measurements)
        detail = f"{claim.published}: {claim.verdict}, {remarks}"
        outcome = outcomes.get(claim.verdict, "skipped")
        cases.append(TestCase("claims", METRIC_NAMES[claim.metric], outcome, detail))
    return cases


def _minimum_case(minimum: Minimum) -> TestCase:
    outcome: Outcome = "passed" if minimum.holds else "failed"
    return TestCase("minimum", METRIC_NAMES[minimum.metric], outcome, minimum.verdict())


def _baseline_cases(regression: Regression, names: Sequence[str]) -> list[TestCase]:
    outcome: Outcome = "passed" if regression.holds else "failed"
    cases = [TestCase("baseline", "all images", outcome, regression.verdict())]
    flipped = regression.flipped
    for change in flipped[:MAX_IMAGES]:
        detail = (
            f"{words.class_label(change.label, names)}, {' and '.join(change.flipped)} changed: "
            f"{words.ranked(change.before, names)} then, {words.ranked(change.now, names)} now"
        )
        cases.append(TestCase("baseline", change.image, outcome, detail))
    if len(flipped) > MAX_IMAGES:
        more = f"{len(flipped) - MAX_IMAGES} more images changed their verdict"
        cases.append(TestCase("baseline", "and more", outcome, more))
    return cases
