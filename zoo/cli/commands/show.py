"""`dsd-zoo show MODEL`: everything about one model."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from zoo.bundled import KNOWN_DATASETS, LABEL_ORDERS, embedded_images
from zoo.cli._options import EVIDENCE_DEFAULT, EvidenceOption, JsonOption, ManifestsOption
from zoo.cli._output import human_bytes, print_fields, print_json
from zoo.cli._results import as_json, in_short
from zoo.cli._subject import load_catalog
from zoo.cli.command import command
from zoo.vocabulary import METRIC_NAMES

if TYPE_CHECKING:
    from zoo.catalog.catalog import Catalog
    from zoo.catalog.manifest import Claim, Manifest, ModelFile
    from zoo.evidence.run import Result
    from zoo.store.cache import Cache

WIDTH = 100


@command("show", order=20)
def show(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Name of a model; see `dsd-zoo list`.")],
    evidence: EvidenceOption = EVIDENCE_DEFAULT,
    json: JsonOption = False,
    manifests: ManifestsOption = None,
) -> None:
    """Show one model: its claims, its files, what to run.

    --json prints the manifest as it is, with `trust` and `here` (its path, or null) for each file,
    `gain` over the baseline per metric, in points, and `measured` as in `dsd-zoo list --json`.
    """
    from zoo.evidence.run import read_results
    from zoo.store.cache import Cache

    catalog, cache = load_catalog(manifests), Cache()
    manifest = catalog.get(model)
    results = read_results(evidence).get(manifest.name, [])
    if json:
        print_json(_as_json(manifest, catalog, cache) | {"measured": [as_json(result) for result in results]})
        return
    _print_identity(manifest)
    _print_claims(manifest)
    _print_measured(results)
    _print_baseline(manifest, catalog)
    _print_files(manifest, cache)
    _print_notes(manifest)
    _print_next(manifest, cache)


def _print_identity(manifest: Manifest) -> None:
    print(f"{manifest.name}: {manifest.title}\n")
    print(textwrap.fill(manifest.summary, WIDTH, initial_indent="  ", subsequent_indent="  ") + "\n")
    channels, height, width = manifest.input_shape
    fields = [
        ("architecture", manifest.architecture),
        ("recipe", manifest.recipe),
        ("framework", manifest.framework),
        ("parameters", "" if manifest.parameters is None else f"{manifest.parameters:,}"),
        ("input", f"{channels} channels, {height} x {width} pixels"),
        ("output", f"{manifest.classes} classes{_label_order(manifest)}"),
        ("images", _images(manifest.dataset)),
        ("preprocessing", _preprocessing(manifest)),
        ("licence", " ".join(filter(None, (manifest.license.name, manifest.license.url)))),
        ("cite", textwrap.fill(manifest.citation, WIDTH - 17)),
        ("see", "\n".join(manifest.references)),
    ]
    print_fields([field for field in fields if field[1]])


def _label_order(manifest: Manifest) -> str:
    if manifest.label_order is None:
        return "; in which order is not stated"
    return LABEL_ORDERS[manifest.label_order].description


def _preprocessing(manifest: Manifest) -> str:
    steps = manifest.preprocessing
    parts = [steps.flavour, f"centre crop {steps.crop}"]
    if steps.mean_image:
        parts.append("minus the mean image")
    if steps.mean is not None:
        parts.append("minus " + ", ".join(f"{value:g}" for value in steps.mean))
    if steps.std is not None:
        parts.append("divided by " + ", ".join(f"{value:g}" for value in steps.std))
    if steps.scale != 1:
        parts.append(f"times {steps.scale:g}")
    return "; ".join(parts)


def _print_claims(manifest: Manifest) -> None:

    print("\nClaims")
    if not manifest.claims:
        print("  none published")
    for (how, source), claims in itertools.groupby(manifest.claims, lambda claim: (claim.how, claim.source)):
        for claim in claims:
            name = METRIC_NAMES[claim.metric]
            print(f'  {name} {claim.percent:g} %: {_count(claim)}; printed as "{claim.published}"')
            for other in claim.also:
                print(f'    also printed as "{other.published}" in {other.source}')
        print(textwrap.fill(f"how: {how}", WIDTH, initial_indent="    ", subsequent_indent="         "))
        print(f"    from: {source}")
    if manifest.loss is not None:
        print(f"  loss {manifest.loss.published}, as the same test run printed it")
    _print_conflicts(manifest)


def _print_conflicts(manifest: Manifest) -> None:

    for conflict in manifest.conflicts:
        claim = f"{METRIC_NAMES[conflict.metric]} {conflict.percent:g} %"
        print(f'  but {claim} according to {conflict.note}; printed as "{conflict.published}"')
        print(f"    from: {conflict.source}")


def _count(claim: Claim) -> str:
    if claim.correct is None:
        return f"of {claim.n:,} images; the exact count is unknown"
    return f"{claim.correct:,} of {claim.n:,} images"


def _print_measured(results: Sequence[Result]) -> None:
    if results:
        print("\nMeasured here")
    for result in results:
        print(
            f"  {in_short(result)}: top-1 {result.top1_correct:,}, top-5 {result.top5_correct:,} "
            f"of {result.n:,} images; {result.flavour}, {result.precision}"
        )


def _print_baseline(manifest: Manifest, catalog: Catalog) -> None:
    from zoo.claims.gains import gains_over_baseline

    baseline = catalog.baseline(manifest)
    if baseline is None:
        return
    print(f"\nBaseline\n  {baseline.name}: {baseline.title}")
    for gain in gains_over_baseline(manifest, baseline, ()):
        theirs = baseline.claim(gain.metric)
        if gain.claimed is None or theirs is None:
            continue
        name, points = METRIC_NAMES[gain.metric], 100 * gain.claimed.gain
        low, high = 100 * gain.claimed.interval.low, 100 * gain.claimed.interval.high
        verdict = "" if gain.claimed.significant else "; not significant"
        print(f"  {name} {theirs.percent:g} %, so the claimed gain is {points:+.2f} points")
        print(f"    (95 % interval {low:+.2f} to {high:+.2f}, counting the images as unrelated{verdict})")
    _print_conflicts(baseline)


def _print_files(manifest: Manifest, cache: Cache) -> None:
    print("\nFiles")
    for file in manifest.model_files():
        entry = file.entry
        size = "size unknown" if entry.bytes is None else human_bytes(entry.bytes)
        print(f"  {file.name} ({entry.role}, {size}): {_where(file, cache)}")
        known = [("trust", _trust(file, cache)), *file.hashes.items()]
        known += [("from", "\n".join(entry.urls))] if entry.urls else []
        known += [("note", textwrap.fill(entry.note, WIDTH - 14))] if entry.note else []
        print_fields(known, indent=4)


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
    return meaning[cache.trust(file)]


def _print_notes(manifest: Manifest) -> None:
    if manifest.notes:
        print("\nNotes")
    for note in manifest.notes:
        print(textwrap.fill(note, WIDTH, initial_indent="  - ", subsequent_indent="    "))


def _print_next(manifest: Manifest, cache: Cache) -> None:
    name = manifest.name
    here = all(cache.find(file) is not None for file in manifest.source_model_files())
    data = "/path/to/ILSVRC2012_img_val.tar"
    steps = [] if here else [(f"dsd-zoo fetch {name}", "download and verify")]
    steps += [
        (f"dsd-zoo convert {name} -o {name}.onnx", "or .py, or a folder for both"),
        (f"dsd-zoo validate {name} --data {data}", "measure it on the images"),
        (f"dsd-zoo audit {name}", "hold the claims against what is known"),
    ]
    if embedded_images(manifest.dataset) is not None:
        steps = [
            ("dsd-zoo demo", "all of it on the embedded models"),
            *(step for step in steps if data not in step[0]),
        ]
    print("\nNext")
    print_fields(steps)


def _as_json(manifest: Manifest, catalog: Catalog, cache: Cache) -> dict[str, object]:
    from zoo.claims.gains import gains_over_baseline

    data = manifest.model_dump()
    for entry, file in zip(data["files"], manifest.model_files(), strict=True):
        path = cache.find(file)
        entry["trust"] = cache.trust(file)
        entry["here"] = None if path is None else str(path)
    baseline = catalog.baseline(manifest)
    gains = [] if baseline is None else gains_over_baseline(manifest, baseline, ())
    data["gain"] = {gain.metric: round(100 * gain.claimed.gain, 4) for gain in gains if gain.claimed}
    return data


def _images(dataset: str) -> str:
    known = KNOWN_DATASETS.get(dataset)
    return f"{dataset}, of your own" if known is None else known.description
