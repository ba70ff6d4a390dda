"""The reports of a validation for machines: JUnit XML and a Markdown summary."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import UsageError

if TYPE_CHECKING:
    from zoo.claims.findings import Findings


def write_reports(found: Findings, junit_path: Path | None, markdown_path: Path | None) -> None:
    """The checks for machines. Markdown is appended, as GitHub's summary file wants it."""
    from zoo.files import replacing
    from zoo.report.checks import checks_of
    from zoo.report.junit import junit
    from zoo.report.markdown import markdown

    checks = checks_of(found.audit, found.regression)
    place = junit_path
    try:
        if junit_path is not None:
            with replacing(junit_path) as temporary:
                temporary.write_text(junit(found.run.result, checks), encoding="utf-8")
        place = markdown_path
        if markdown_path is not None:
            with markdown_path.open("a", encoding="utf-8") as file:
                file.write(markdown(found.run.result, found.accuracies, checks))
    except OSError as error:
        raise UsageError(f"{place}: cannot be written: {error.strerror}") from error
