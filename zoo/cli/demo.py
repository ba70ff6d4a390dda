"""`dsd-zoo demo`: the whole job on the embedded models, without network."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer


def demo(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The HTML report to write.")
    ] = Path("report.html"),
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Keep the converted nets and the evidence in this folder."),
    ] = None,
) -> None:
    """Run the whole job on six small embedded models: verify, convert, validate, audit, report.

    Ends with 1 if something does not reproduce. That a gain is not significant is a finding, no failure.
    """
    from zoo.cli import _findings
    from zoo.demo import run_demo
    from zoo.report.html import write_page

    with ExitStack() as stack:
        if out is None:
            out = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dsd-zoo-demo-")))
        done = run_demo(out, say=print)
    write_page(output, done.subjects, done.parity)
    audits = [subject.audit for subject in done.subjects]
    print()
    _findings.print_parity(done.parity)
    print()
    _findings.print_claims(audits)
    _findings.print_gains(audits)
    _findings.print_verdict(audits, done.parity)
    print(f"The report: {output}")
    if not done.holds:
        raise typer.Exit(1)
