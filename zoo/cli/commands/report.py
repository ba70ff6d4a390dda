"""`dsd-zoo report DIR`: a page, or tables, about runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from zoo.cli._options import JsonOption, ManifestsOption
from zoo.cli._output import print_json, say
from zoo.cli._subject import load_catalog
from zoo.cli.command import command

Format = Literal["html", "markdown", "csv", "latex"]
ENDINGS: dict[Format, str] = {"html": "html", "markdown": "md", "csv": "csv", "latex": "tex"}


@command("report", order=150)
def report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder with runs of `dsd-zoo validate`.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            "--output",
            metavar="FILE",
            help="The file to write; default report with the ending of the format.",
        ),
    ] = None,
    format_: Annotated[
        Format, typer.Option("--format", help="A page to look at, or the tables for a text or a program.")
    ] = "html",
    against: Annotated[
        str | None,
        typer.Option(metavar="NET", help="Compare the other nets with this one, too."),
    ] = None,
    no_images: Annotated[
        bool, typer.Option("--no-images", help="Leave the images out of the page, so that it can be shown.")
    ] = False,
    json: JsonOption = False,
    manifests: ManifestsOption = None,
) -> None:
    """Write one HTML page about the runs below DIR, or its tables.

    It holds the claims, what was measured, the gains, and what every number rests on, and needs nothing
    else. Nets that are not in the catalog are on it, too. The images on which two nets differ, and the
    surest mistakes, are shown if they lie where the runs had them. Ends with 1 if something on the page does
    not hold.

    --json prints: headline, holds, nets (name, in_catalog, runs with result.json's counts, audit as
    `dsd-zoo audit` or null), pairs (model, baseline, a row of counts and gains for each preprocessing,
    classes), out.
    """
    from zoo.claims.reported import reported
    from zoo.evidence.run import read_runs
    from zoo.report.html import headline, illustrations, write_page
    from zoo.report.table_files import report_as_json, write_tables
    from zoo.store.cache import Cache

    runs = read_runs(folder)
    found = reported(load_catalog(manifests), runs, against)
    place = output or Path(f"report.{ENDINGS[format_]}")
    if format_ == "html":
        write_page(place, found, shown=illustrations(found, Cache(), images=not no_images))
    else:
        write_tables(place, found, format_)
    if json:
        print_json({"headline": headline(found), **report_as_json(found), "out": str(place)})
    else:
        say(headline(found))
        print(place)
    if not found.holds:
        raise typer.Exit(1)
