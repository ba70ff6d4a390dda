"""`dsd-zoo report DIR`: an HTML page about runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from zoo.cli._options import ManifestsOption
from zoo.cli._subject import load_catalog
from zoo.cli.command import command


@command("report", order=150)
def report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder with runs of `dsd-zoo validate`.")],
    output: Annotated[
        Path, typer.Option("--out", "-o", "--output", metavar="FILE", help="The HTML file to write.")
    ] = Path("report.html"),
    manifests: ManifestsOption = None,
) -> None:
    """Write one HTML page about the runs below DIR.

    It holds the claims, what was measured, the gains, and what every number rests on, and needs nothing
    else. Ends with 1 if something on the page does not hold.
    """
    from zoo.claims.audit import audited_models
    from zoo.evidence.run import read_runs
    from zoo.report import words
    from zoo.report.html import write_page

    runs = read_runs(folder)
    catalog = load_catalog(manifests)
    for name in sorted({run.result.model for run in runs if run.result.model not in catalog}):
        print(f"left out: {name} is not in the catalog (see --manifests)", file=sys.stderr)
    models = audited_models(catalog, runs)
    write_page(output, models)
    print(words.headline([model.audit for model in models]))
    print(output)
    if not all(model.audit.holds for model in models):
        raise typer.Exit(1)
