"""`dsd-zoo show MODEL`: everything about one model."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zoo.bundled import embedded_images
from zoo.cli._completion import complete_models
from zoo.cli._gains_text import print_measurements
from zoo.cli._interface_text import interface_fields, print_reported
from zoo.cli._options import EVIDENCE_DEFAULT, EvidenceOption, JsonOption, ManifestsOption
from zoo.cli._output import human_bytes, print_fields, print_json, say
from zoo.cli._results import as_json, in_short, is_on_claimed_images
from zoo.cli._subject import load_catalog
from zoo.cli.command import command
from zoo.vocabulary import METRIC_NAMES

if TYPE_CHECKING:
    from zoo.catalog.catalog import Catalog
    from zoo.catalog.claim import Claim
    from zoo.catalog.file import Archive
    from zoo.catalog.manifest import Manifest, ModelFile
    from zoo.claims.prepared_gains import GainsByPreparation
    from zoo.evidence.run import Result
    from zoo.store.cache import Cache


@command("show", order=20)
def show(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="Name of a model; see `dsd-zoo list`.", autocompletion=complete_models
        ),
    ],
    evidence: EvidenceOption = EVIDENCE_DEFAULT,
    json: JsonOption = False,
    manifests: ManifestsOption = None,
) -> None:
    """Show one model: its claims, its files, what to run.

    --json prints the manifest as it is, with `trust` and `here` (its path, or null) for each file,
    `gain` over the baseline per metric, in points, `by_preparation` as in `dsd-zoo audit --json`, and
    `measured` as in `dsd-zoo list --json`.
    """
    from zoo.evidence.run import read_results
    from zoo.store.cache import Cache

    catalog, cache = load_catalog(manifests), Cache()
    manifest = catalog.get(model)
    results = read_results(evidence).get(manifest.name, [])
    if json:
        data = _as_json(manifest, catalog, cache, evidence)
        print_json(data | {"measured": [as_json(result) for result in results]})
        return
    _print_identity(manifest)
    if manifest.is_counted:
        _print_claims(manifest)
    _print_reported(manifest)
    _print_measurements_of(manifest)
    _print_measured(manifest, results)
    _print_baseline(manifest, catalog, evidence)
    _print_files(manifest, cache)
    _print_notes(manifest)
    _print_next(manifest, cache)


def _print_identity(manifest: Manifest) -> None:
    say(f"{manifest.name}: {manifest.title}\n")
    say(f"  {manifest.summary}\n")
    fields = [
        ("architecture", manifest.architecture),
        ("recipe", manifest.recipe),
        ("framework", manifest.framework),
        ("parameters", "" if manifest.parameters is None else f"{manifest.parameters:,}"),
        *interface_fields(manifest),
        ("also called", ", ".join(manifest.aliases)),
        ("licence", " ".join(filter(None, (manifest.license.name, manifest.license.url)))),
        ("cite", manifest.citation),
        ("see", "\n".join(manifest.references)),
    ]
    print_fields([field for field in fields if field[1]])


def _print_reported(manifest: Manifest) -> None:
    if manifest.reported:
        say("\nReported; it is no accuracy over labelled images, so the zoo cannot check it")
        print_reported(manifest)


def _print_claims(manifest: Manifest) -> None:

    say("\nClaims")
    if not manifest.claims:
        say("  none published")
    for (how, source), claims in itertools.groupby(manifest.claims, lambda claim: (claim.how, claim.source)):
        for claim in claims:
            name = METRIC_NAMES[claim.metric]
            say(f'  {name} {claim.percent:g} %: {_count(claim)}; printed as "{claim.published}"', "  ")
            for other in claim.also:
                say(f'    also printed as "{other.published}" in {other.source}', "  ")
        say(f"    how: {how}", " " * len("how: "))
        say(f"    from: {source}")
    if manifest.loss is not None:
        say(f"  loss {manifest.loss.published}, as the same test run printed it")
    _print_conflicts(manifest)


def _print_conflicts(manifest: Manifest) -> None:

    for conflict in manifest.conflicts:
        claim = f"{METRIC_NAMES[conflict.metric]} {conflict.percent:g} %"
        say(f'  but {claim} according to {conflict.note}; printed as "{conflict.published}"', "  ")
        say(f"    from: {conflict.source}")


def _count(claim: Claim) -> str:
    if claim.correct is None:
        return f"of {claim.n:,} images; the exact count is unknown"
    return f"{claim.correct:,} of {claim.n:,} images"


def _print_measurements_of(manifest: Manifest) -> None:
    if manifest.measurements:
        say("\nMeasured by others")
        print_measurements(manifest)


def _print_measured(manifest: Manifest, results: Sequence[Result]) -> None:
    if results:
        say("\nMeasured here")
    for result in results:
        images = "" if is_on_claimed_images(manifest, result) else f"; other images ({result.dataset})"
        say(
            f"  {in_short(result)}: top-1 {result.top1_correct:,}, top-5 {result.top5_correct:,} "
            f"of {result.n:,} images; {result.flavour}, {result.precision}{images}",
            "  ",
        )


def _print_baseline(manifest: Manifest, catalog: Catalog, evidence: Path) -> None:
    from zoo.cli._gains_text import print_gain_blocks
    from zoo.report.tables import gain_blocks_of

    baseline = catalog.baseline(manifest)
    if baseline is None:
        return
    say(f"\nBaseline\n  {baseline.name}: {baseline.title}")
    print_measurements(baseline)
    _print_conflicts(baseline)
    say("\nGain over the baseline")
    print_gain_blocks(gain_blocks_of(_gains(manifest, baseline, evidence)), sources=False)


def _gains(manifest: Manifest, baseline: Manifest, evidence: Path) -> list[GainsByPreparation]:
    from zoo.claims.prepared_gains import gains_by_preparation
    from zoo.evidence.run import read_runs_of

    return gains_by_preparation(manifest, baseline, read_runs_of((manifest.name, baseline.name), evidence))


def _print_files(manifest: Manifest, cache: Cache) -> None:
    say("\nFiles")
    if manifest.definition_note is not None:
        say(f"  {manifest.definition_note}")
    for file in manifest.model_files():
        entry = file.entry
        size = "size unknown" if entry.bytes is None else human_bytes(entry.bytes)
        say(f"  {file.name} ({entry.role}, {size}): {_where(file, cache)}")
        known = [("trust", _trust(file, cache)), *file.hashes.items()]
        known += [("from", "\n".join(entry.urls))] if entry.urls else []
        known += [("archive", _archive(entry.archive))] if entry.archive is not None else []
        known += [("note", entry.note)] if entry.note else []
        print_fields(known, indent=4)


def _archive(archive: Archive) -> str:
    size = None if archive.bytes is None else human_bytes(archive.bytes)
    lines = [", ".join(filter(None, (archive.name, size))), archive.member and f"in it: {archive.member}"]
    return "\n".join(filter(None, [*lines, *(f"{kind} {value}" for kind, value in archive.hashes.items())]))


def _where(file: ModelFile, cache: Cache) -> str:
    path = cache.find(file)
    if path is None:
        return "not here yet"
    return "ships with the zoo" if file.entry.path is not None else f"in the cache\n    {path}"


def _trust(file: ModelFile, cache: Cache) -> str:
    meaning = {
        "pinned": "pinned: a hash known beforehand says which file is right",
        "recorded": "recorded: no hash is known beforehand; what came at first use counts",
        "unverified": "unverified: no hash is known beforehand; the first download will be put on record",
    }
    trust = cache.trust(file)
    if trust == "pinned" and file.entry.is_pinned_by_archive:
        return "pinned: a hash known beforehand says which archive is right, and the file is taken from it"
    return meaning[trust]


def _print_notes(manifest: Manifest) -> None:
    if manifest.notes:
        say("\nNotes")
    for note in manifest.notes:
        say(f"  - {note}", "  ")


def _print_next(manifest: Manifest, cache: Cache) -> None:
    name = manifest.name
    here = all(cache.find(file) is not None for file in manifest.source_model_files())
    data = "/path/to/ILSVRC2012_img_val.tar"
    steps = [] if here else [(f"dsd-zoo fetch {name}", "download and verify")]
    steps += [(f"dsd-zoo convert {name} -o {name}.onnx", "or .py, or a folder for both")]
    if not manifest.is_counted:
        steps += [(f"dsd-zoo verify {name}", "its files, and its converted forms against each other")]
    else:
        steps += [(f"dsd-zoo validate {name} --data {data}", "measure it on the images")]
    if manifest.claims:
        steps += [(f"dsd-zoo audit {name}", "hold the claims against what is known")]
    if embedded_images(manifest.dataset) is not None:
        steps = [
            ("dsd-zoo demo", "all of it on the embedded models"),
            *(step for step in steps if data not in step[0]),
        ]
    say("\nNext")
    print_fields(steps)


def _as_json(manifest: Manifest, catalog: Catalog, cache: Cache, evidence: Path) -> dict[str, object]:
    data = manifest.model_dump()
    for entry, file in zip(data["files"], manifest.model_files(), strict=True):
        path = cache.find(file)
        entry["trust"] = cache.trust(file)
        entry["here"] = None if path is None else str(path)
    baseline = catalog.baseline(manifest)
    found = [] if baseline is None else _gains(manifest, baseline, evidence)
    data["gain"] = {gains.metric: round(100 * gains.claimed.gain, 4) for gains in found if gains.claimed}
    data["by_preparation"] = [gains.to_json() for gains in found]
    return data
