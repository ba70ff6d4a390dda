"""The reports of a pass as files: JUnit XML, a Markdown summary, an HTML page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.files import cannot_write

if TYPE_CHECKING:
    from zoo.claims.findings import PassFindings


def write_error(junit_path: Path, nets: Sequence[str], error: str) -> None:
    """Write the JUnit XML of a pass that an error ended. UsageError if the file cannot be written."""
    from converters import atomic_write
    from zoo.report.junit import junit_of_error

    try:
        with atomic_write(junit_path) as temporary:
            temporary.write_text(junit_of_error(nets, error), encoding="utf-8")
    except OSError as problem:
        raise cannot_write(junit_path, "the report", problem) from problem


def write_reports(
    found: PassFindings,
    junit_path: Path | None,
    markdown_path: Path | None,
    html_path: Path | None = None,
    error: str | None = None,
    *,
    images: bool = True,
) -> None:
    """Write the JUnit XML and the HTML page and append the Markdown summary, each if a path is given.

    error: what kept the runs from being compared with others.
    images: False leaves them out of the page.
    The Markdown is appended because a GitHub job summary is one file for all steps.
    Raises UsageError if a file cannot be written.
    """
    from converters import atomic_write
    from zoo.report.cases import all_cases
    from zoo.report.junit import junit_of_runs
    from zoo.report.markdown import markdown, markdown_matrix
    from zoo.report.pass_page import pass_thumbnails, render_pass
    from zoo.report.tables import gain_blocks

    checked = [(of_net, all_cases(of_net, error)) for of_net in found.nets]
    path = junit_path
    try:
        if junit_path is not None:
            suites = [(of_net.run.result, cases) for of_net, cases in checked]
            with atomic_write(junit_path) as temporary:
                temporary.write_text(junit_of_runs(suites), encoding="utf-8")
        path = markdown_path
        if markdown_path is not None:
            parts = [
                markdown(
                    of_net.run.result,
                    of_net.accuracies,
                    cases,
                    [] if of_net.audit is None else gain_blocks(of_net.audit),
                )
                for of_net, cases in checked
            ]
            parts += [markdown_matrix(pair) for pair in found.pairs]
            with markdown_path.open("a", encoding="utf-8") as file:
                file.write("\n".join(parts))
        path = html_path
        if html_path is not None:
            page = render_pass(found, pass_thumbnails(found) if images else None)
            with atomic_write(html_path) as temporary:
                temporary.write_text(page, encoding="utf-8")
    except OSError as error:
        assert path is not None
        raise cannot_write(path, "the report", error) from error
