"""The reports of a validation as files: JUnit XML and a Markdown summary."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import UsageError

if TYPE_CHECKING:
    from zoo.claims.findings import Findings


def write_reports(found: Findings, junit_path: Path | None, markdown_path: Path | None) -> None:
    """Write the JUnit XML and append the Markdown summary, each if a path is given.

    The Markdown is appended because a GitHub job summary is one file for all steps.
    Raises UsageError if a file cannot be written.
    """
    from converters import atomic_write
    from zoo.report.cases import cases_of
    from zoo.report.junit import junit
    from zoo.report.markdown import markdown
    from zoo.report.tables import gain_blocks

    cases = cases_of(found.audit, found.regression)
    path = junit_path
    try:
        if junit_path is not None:
            with atomic_write(junit_path) as temporary:
                temporary.write_text(junit(found.run.result, cases), encoding="utf-8")
        path = markdown_path
        if markdown_path is not None:
            with markdown_path.open("a", encoding="utf-8") as file:
                gains = [] if found.audit is None else gain_blocks(found.audit)
                file.write(markdown(found.run.result, found.accuracies, cases, gains))
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}") from error
