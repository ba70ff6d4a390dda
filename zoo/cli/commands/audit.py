"""`dsd-zoo audit [MODEL...]`: do the published numbers hold?"""

from __future__ import annotations

from typing import Annotated

import typer

from zoo.cli._completion import complete_models
from zoo.cli._options import EVIDENCE_DEFAULT, EvidenceOption, JsonOption, ManifestsOption
from zoo.cli._output import print_json, say
from zoo.cli._subject import load_catalog
from zoo.cli.command import command


@command("audit", order=140)
def audit(
    model: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MODEL]...",
            help="Names of models; all with claims if none is given.",
            autocompletion=complete_models,
        ),
    ] = None,
    evidence: EvidenceOption = EVIDENCE_DEFAULT,
    json: JsonOption = False,
    manifests: ManifestsOption = None,
) -> None:
    """Audit claims: do they follow, do they hold, what is gained?

    They are derived again from their published traces and held against the runs of `dsd-zoo validate`,
    and the gain over the baseline gets its interval and test. Offline. Ends with 1 if a claim does not
    follow from its trace, a run contradicts a claim or used other files than the pinned ones. A claim
    that was not measured, a gain that is not significant and published values that contradict each
    other are findings, not failures.
    """
    from zoo.claims.audit import audit as audit_model
    from zoo.cli import _audit_text
    from zoo.evidence.run import read_runs

    catalog = load_catalog(manifests)
    runs = [] if evidence == EVIDENCE_DEFAULT and not evidence.is_dir() else read_runs(evidence)
    claimed = [catalog.get(name) for name in model] if model else [known for known in catalog if known.claims]
    audits = [audit_model(manifest, catalog, runs) for manifest in claimed]
    if json:
        print_json([found.to_json() for found in audits])
    else:
        if any(found.claims for found in audits):
            _audit_text.print_claims([found for found in audits if found.claims])
        _audit_text.print_gains(audits)
        _audit_text.print_conflicts(audits)
        _audit_text.print_verdict(audits)
        for manifest in claimed:
            if manifest.reported:
                say(f"What was reported for {manifest.name} cannot be checked: dsd-zoo show {manifest.name}")
    if not all(found.holds for found in audits):
        raise typer.Exit(1)
