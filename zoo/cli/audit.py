"""`dsd-zoo audit [MODEL...]`: do the published numbers hold?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zoo.cli._common import JsonOption, ManifestsOption, load_catalog, print_json


def audit(
    model: Annotated[
        list[str] | None,
        typer.Argument(metavar="[MODEL]...", help="Names of models; all of the catalog if none is given."),
    ] = None,
    evidence: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Hold the claims against the runs found below this folder."),
    ] = None,
    json: JsonOption = False,
    manifests: ManifestsOption = None,
) -> None:
    """Audit claims: re-derive them from their published traces, hold them against runs, compute the gains.

    Offline. Ends with 1 if a claim does not follow from its trace, a run contradicts a claim or used
    other files than the pinned ones. A claim that was not measured, a gain that is not significant and
    published values that contradict each other are findings, not failures.
    """
    from zoo.audit import audit as audit_model
    from zoo.audit import read_runs
    from zoo.cli import _findings

    catalog = load_catalog(manifests)
    runs = [] if evidence is None else read_runs(evidence)
    audits = [audit_model(catalog.get(name), catalog, runs) for name in model or catalog.names()]
    if json:
        print_json([found.to_json() for found in audits])
    else:
        _findings.print_claims(audits)
        _findings.print_gains(audits)
        _findings.print_conflicts(audits)
        _findings.print_verdict(audits)
    if not all(found.holds for found in audits):
        raise typer.Exit(1)
