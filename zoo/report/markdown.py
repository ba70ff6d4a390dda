"""A run as Markdown, for the summary page of a CI job or a comment on a pull request."""

from __future__ import annotations

from collections.abc import Sequence

from zoo.claims.measurement import Accuracy
from zoo.evidence.run import Result
from zoo.report import words
from zoo.report.checks import Check
from zoo.schema import METRIC_NAMES

MARKS = {"passed": "holds", "failed": "**does not hold**", "skipped": "not decided"}


def markdown(result: Result, accuracies: Sequence[Accuracy], checks: Sequence[Check]) -> str:
    """A heading, the counts with their intervals, and what was checked."""
    place = f"{words.place(result.runtime, result.device)}, {result.precision}, {result.flavour}"
    lines = [
        f"### {_cell(result.model)} on {_cell(result.dataset)}",
        "",
        f"{words.images(result.n)} with {place}",
        "",
        "| metric | right | of | accuracy | 95 % interval (exact) |",
        "|---|---:|---:|---:|---|",
        *(
            f"| {METRIC_NAMES[found.metric]} | {found.correct:,} | {found.n:,} "
            f"| {words.percent(found.correct / found.n)} | {words.percent_range(found.exact)} |"
            for found in accuracies
        ),
    ]
    if checks:
        lines += ["", "| checked | | found |", "|---|---|---|"]
        lines += [
            f"| {check.group}: {_cell(check.name)} | {MARKS[check.outcome]} | {_cell(check.detail)} |"
            for check in checks
        ]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    """Text that stays in its cell, whatever an image is called."""
    flat = " ".join(text.split())
    return "".join(f"\\{c}" if c in "\\|`*_<>[]#" else c for c in flat)
