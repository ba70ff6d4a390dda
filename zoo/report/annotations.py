"""What does not hold, as the lines that GitHub shows beside a commit.

GitHub reads `::error title=TITLE::MESSAGE` from the output of a step; %, CR and LF are escaped, in the title
also the colon and the comma (docs.github.com, "Workflow commands").
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.report.cases import all_cases

if TYPE_CHECKING:
    from zoo.claims.findings import PassFindings

# GitHub shows ten errors of a step.
MAX_ANNOTATIONS = 10


def error_lines(found: PassFindings) -> list[str]:
    """A line for each check that does not hold, at most ten."""
    lines = [
        error_line(f"{of_net.run.result.model}, {case.group}: {case.name}", case.detail)
        for of_net in found.nets
        for case in all_cases(of_net)
        if case.outcome == "failed"
    ]
    return lines[:MAX_ANNOTATIONS]


def error_line(title: str, message: str) -> str:
    """One error, as a line."""
    return f"::error title={_escaped(title).replace(':', '%3A').replace(',', '%2C')}::{_escaped(message)}"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
