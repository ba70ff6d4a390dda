"""`dsd-zoo verify MODEL... | FILE...`: are these the right files, and do they hold what they should?"""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from converters import quoted
from zoo.cli._colour import Verdict, coloured
from zoo.cli._completion import complete_nets
from zoo.cli._options import JsonOption, ManifestsOption
from zoo.cli._output import print_json, say
from zoo.cli._subject import load_catalog
from zoo.cli.command import command

if TYPE_CHECKING:
    from zoo.catalog.catalog import Catalog
    from zoo.catalog.manifest import Manifest, ModelFile
    from zoo.store.cache import Cache
    from zoo.store.recognition import Recognition, Recognizer


@command("verify", order=70)
def verify(
    what: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL...|FILE...",
            help="Names of models, or paths of files.",
            autocompletion=complete_nets,
        ),
    ],
    json: JsonOption = False,
    manifests: ManifestsOption = None,
) -> None:
    """Verify models or files against everything on record.

    A model: every file is read again and compared with all known sizes and hashes; definition and weights
    are read as a net, every parameter in its place and shape, as many as there should be, all of them finite;
    a baseline that is here too must have the same architecture and other weights; the ONNX and the PyTorch
    form must compute what the original framework recorded, or where nothing is recorded, the same as each
    other.
    A file: says which file of which model it is.

    Ends with 1 if something is missing, wrong or unknown.

    --json prints: holds, models (model, holds, checks: kind, subject, ok, detail, trust, sha256) and files
    (holds, file, bytes, hashes, known_as and archive_of and other_versions as in `dsd-zoo inspect --json`).
    """
    from zoo.cli._known_files import warn_of_manifests
    from zoo.store.cache import Cache
    from zoo.store.recognition import Recognizer
    from zoo.store.subject import find_model_or_file

    catalog, cache = load_catalog(manifests), Cache()
    recognizer = Recognizer(catalog, cache)
    targets = [find_model_or_file(name, catalog) for name in what]
    models: list[dict[str, Any]] = []
    files: list[dict[str, Any]] = []
    for target in targets:
        if isinstance(target, Path):
            files.append(_verify_file(target, recognizer, silent=json))
        else:
            models.append(_verify_model(target, catalog, cache, silent=json))
    warn_of_manifests(recognizer)
    holds = all(found["holds"] for found in (*models, *files))
    if json:
        print_json({"holds": holds, "models": models, "files": files})
    if not holds:
        raise typer.Exit(1)


def _verify_model(manifest: Manifest, catalog: Catalog, cache: Cache, *, silent: bool) -> dict[str, Any]:
    from zoo.verification.model import verify_model

    if not silent:
        say(manifest.name)
    checks = verify_model(manifest, cache, catalog.baseline(manifest))
    for check in checks if not silent else ():
        verdict = coloured(Verdict("ok" if check.ok else "FAILED", check.ok))
        trust = "" if check.trust is None else f" ({check.trust})"
        first, *more = check.detail.split("\n")
        say(f"  {check.kind:9}  {check.subject}: {verdict}{trust}: {first}", "  ")
        for line in more:
            say(f"    {line}")
    return {
        "model": manifest.name,
        "holds": all(check.ok for check in checks),
        "checks": [asdict(check) for check in checks],
    }


def _verify_file(path: Path, recognizer: Recognizer, *, silent: bool) -> dict[str, Any]:
    from zoo.cli._known_files import file_json, namesake_text

    found = recognizer.recognize(path, ["sha256"], every_hash=True)
    if not silent:
        _print_file(found, recognizer.cache)
    if found.namesakes:
        print(f"dsd-zoo: warning: {namesake_text(found)}", file=sys.stderr)
    return {"holds": found.is_known, **file_json(found)}


def _print_file(found: Recognition, cache: Cache) -> None:
    say(str(found.path))
    for file in found.known_as:
        say(f"  this is {file}")
        _print_definition(file, cache)
    for file in found.archive_of:
        add = quoted("dsd-zoo", "add", str(found.path))
        say(f"  this is the archive in which {file} was published: {add}")
    if not found.is_known:
        say(f"  unknown to the zoo: {found.bytes} bytes, sha256 {found.hashes['sha256']}")


def _print_definition(file: ModelFile, cache: Cache) -> None:
    """Where the definition is that weights need, unless it is here."""
    from zoo.catalog.manifest import ModelFile
    from zoo.store.known_net import fetch_advice

    if file.entry.role != "weights":
        return
    manifest, entry = file.manifest, file.manifest.file("definition")
    if entry is None:
        if manifest.definition_note is not None:
            say(f"  its definition: {manifest.definition_note}")
    elif cache.find(ModelFile(manifest, entry)) is None:
        say(f"  its definition {entry.name} is not here: {fetch_advice(manifest.name)}")
