"""`dsd-zoo verify MODEL... | FILE...`: are these the right files, and do they hold what they should?"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zoo.cli._options import ManifestsOption
from zoo.cli._subject import load_catalog
from zoo.cli.command import command

if TYPE_CHECKING:
    from zoo.catalog.catalog import Catalog
    from zoo.catalog.manifest import Manifest, ModelFile
    from zoo.store.cache import Cache
    from zoo.store.recognition import Recognizer


@command("verify", order=70)
def verify(
    what: Annotated[
        list[str], typer.Argument(metavar="MODEL...|FILE...", help="Names of models, or paths of files.")
    ],
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
    """
    from zoo.cli._known_files import warn_of_manifests
    from zoo.store.cache import Cache
    from zoo.store.recognition import Recognizer
    from zoo.store.subject import find_model_or_file

    catalog, cache = load_catalog(manifests), Cache()
    recognizer = Recognizer(catalog, cache)
    targets = [find_model_or_file(name, catalog) for name in what]
    results = [
        _verify_file(target, recognizer)
        if isinstance(target, Path)
        else _verify_model(target, catalog, cache)
        for target in targets
    ]
    warn_of_manifests(recognizer)
    if not all(results):
        raise typer.Exit(1)


def _verify_model(manifest: Manifest, catalog: Catalog, cache: Cache) -> bool:
    from zoo.verification.model import verify_model

    print(manifest.name)
    checks = verify_model(manifest, cache, catalog.baseline(manifest))
    for check in checks:
        verdict = "ok" if check.ok else "FAILED"
        trust = "" if check.trust is None else f" ({check.trust})"
        detail = check.detail.replace("\n", "\n    ")
        print(f"  {check.kind:9}  {check.subject}: {verdict}{trust}: {detail}")
    return all(check.ok for check in checks)


def _verify_file(path: Path, recognizer: Recognizer) -> bool:
    from zoo.cli._known_files import namesake_text

    found = recognizer.recognize(path, ["sha256"], every_hash=True)
    print(path)
    for file in found.known_as:
        print(f"  this is {file}")
        _print_definition(file, recognizer.cache)
    for file in found.archive_of:
        print(f"  this is the archive in which {file} was published: dsd-zoo add {shlex.quote(str(path))}")
    if not found.is_known:
        print(f"  unknown to the zoo: {found.bytes} bytes, sha256 {found.hashes['sha256']}")
    if found.namesakes:
        print(f"dsd-zoo: warning: {namesake_text(found)}", file=sys.stderr)
    return found.is_known


def _print_definition(file: ModelFile, cache: Cache) -> None:
    """Where the definition is that weights need, unless it is here."""
    from zoo.catalog.manifest import ModelFile
    from zoo.store.known_net import fetch_advice

    if file.entry.role != "weights":
        return
    manifest, entry = file.manifest, file.manifest.file("definition")
    if entry is None:
        if manifest.definition_note is not None:
            print(f"  its definition: {manifest.definition_note}")
    elif cache.find(ModelFile(manifest, entry)) is None:
        print(f"  its definition {entry.name} is not here: {fetch_advice(manifest.name)}")
