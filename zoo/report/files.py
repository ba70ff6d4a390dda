"""The reports of a validation as files: JUnit XML and a Markdown summary."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from zoo.files import cannot_write

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

    cases = cases_of(found.audit, found.regression)
    path = junit_path
    try:
        if junit_path is not None:
            with atomic_write(junit_path) as temporary:
                temporary.write_text(junit(found.run.result, cases), encoding="utf-8")
        path = markdown_path
        if markdown_path is not None:
            with markdown_path.open("a", encoding="utf-8") as file:
                file.write(markdown(found.run.result, found.accuracies, cases))
    except OSError as error:
        assert path is not None
        raise cannot_write(path, "the report", error) from error
