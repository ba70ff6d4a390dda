"""`dsd-zoo list`: all models with their claims."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from zoo.cli._options import EVIDENCE_DEFAULT, EvidenceOption, JsonOption, ManifestsOption
from zoo.cli._output import print_json, print_table
from zoo.cli._results import as_json, in_short
from zoo.cli._subject import load_catalog
from zoo.cli.command import command
from zoo.vocabulary import METRICS

if TYPE_CHECKING:
    from zoo.catalog.catalog import Catalog
    from zoo.catalog.claim import Claim
    from zoo.catalog.manifest import Manifest
    from zoo.evidence.run import Result
    from zoo.store.cache import Cache, Trust

# From the strongest to the weakest; the trust in a model is that in its least trusted file.
TRUST_LEVELS: tuple[Trust, ...] = ("pinned", "recorded", "unverified")


@command("list", order=10)
def list_(
    evidence: EvidenceOption = EVIDENCE_DEFAULT, json: JsonOption = False, manifests: ManifestsOption = None
) -> None:
    """List all models: claims, gains, what is here.

    --json prints a list with, for each model: name, title, architecture, recipe, framework, dataset,
    baseline, claims (per metric: percent, correct, n), gain (per metric, in points), trust,
    files (here, shipped, total), and measured (for each run: runtime, device, precision, flavour, dataset,
    n, n_dataset, top1_correct, top5_correct).
    """
    from zoo.evidence.run import read_results
    from zoo.store.cache import Cache

    catalog, cache, measured = load_catalog(manifests), Cache(), read_results(evidence)
    if json:
        print_json(
            [_entry(manifest, catalog, cache, measured.get(manifest.name, ())) for manifest in catalog]
        )
        return
    header = ("MODEL", "FRAMEWORK", "TOP-1 %", "TOP-5 %", "GAIN", "TRUST", "FILES HERE", "MEASURED TOP-1 %")
    rows = [_row(manifest, catalog, cache, measured.get(manifest.name, ())) for manifest in catalog]
    print_table(header, rows, right=(2, 3, 4))
    print("\nTOP-1 and TOP-5 as claimed; GAIN is top-1 points over the baseline. More: dsd-zoo show MODEL")


def _row(manifest: Manifest, catalog: Catalog, cache: Cache, results: Sequence[Result]) -> tuple[str, ...]:
    gain = _gain(manifest, catalog).get("top1")
    files = _files(manifest, cache)
    return (
        manifest.name,
        manifest.framework,
        *(_percent(manifest.claim(metric)) for metric in METRICS),
        "" if gain is None else f"{gain:+.2f}",
        _trust(manifest, cache),
        "all, shipped" if files["shipped"] == files["total"] else f"{files['here']} of {files['total']}",
        "; ".join(map(in_short, results)) or "not yet",
    )


def _percent(claim: Claim | None) -> str:
    return "" if claim is None else f"{claim.percent:.2f}"


def _entry(
    manifest: Manifest, catalog: Catalog, cache: Cache, results: Sequence[Result]
) -> dict[str, object]:
    return {
        "name": manifest.name,
        "title": manifest.title,
        "architecture": manifest.architecture,
        "recipe": manifest.recipe,
        "framework": manifest.framework,
        "dataset": manifest.dataset,
        "baseline": manifest.baseline,
        "claims": {
            claim.metric: {"percent": claim.percent, "correct": claim.correct, "n": claim.n}
            for claim in manifest.claims
        },
        "gain": _gain(manifest, catalog),
        "trust": _trust(manifest, cache),
        "files": _files(manifest, cache),
        "measured": [as_json(result) for result in results],
    }


def _gain(manifest: Manifest, catalog: Catalog) -> dict[str, float]:
    from zoo.claims.gains import gains_over_baseline

    baseline = catalog.baseline(manifest)
    gains = [] if baseline is None else gains_over_baseline(manifest, baseline, ())
    return {gain.metric: round(100 * gain.claimed.gain, 4) for gain in gains if gain.claimed is not None}


def _trust(manifest: Manifest, cache: Cache) -> Trust:
    return max((cache.trust(file) for file in manifest.model_files()), key=TRUST_LEVELS.index)


def _files(manifest: Manifest, cache: Cache) -> dict[str, int]:
    return {
        "here": sum(cache.find(file) is not None for file in manifest.model_files()),
        "shipped": sum(file.path is not None for file in manifest.files),
        "total": len(manifest.files),
    }
