"""`dsd-zoo fetch MODEL...`: bring the files of models into the cache."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zoo.cli._completion import complete_models
from zoo.cli._options import JsonOption, ManifestsOption
from zoo.cli._output import human_bytes, print_json, say
from zoo.cli._subject import load_catalog
from zoo.cli.command import command
from zoo.errors import InterruptedRunError, UsageError, ZooError

if TYPE_CHECKING:
    from zoo.catalog.manifest import ModelFile
    from zoo.download import Fetched
    from zoo.store.cache import Cache


@command("fetch", order=30)
def fetch(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MODEL...",
            help="Names of models; see `dsd-zoo list`.",
            autocompletion=complete_models,
        ),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All models of the zoo.")] = False,
    mirror: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URL|DIR",
            help="Where MODEL/FILE lies, such as an exported cache; asked first; may be repeated.",
        ),
    ] = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="Never touch the network; file:// sources still count.")
    ] = False,
    json: JsonOption = False,
    manifests: ManifestsOption = None,
) -> None:
    """Download, and verify, the files of models.

    They go into the cache, $DSD_ZOO_CACHE or the user's cache folder. The sources of a file are tried in
    order. Only bytes that agree with every size and hash on record are kept. Where nothing is known
    beforehand, the first download is put on record ($DSD_ZOO_LOCK or lock.json in the user's data folder),
    and later ones must match. What an interrupted fetch has brought is kept, and the same command goes on
    from it. HTTPS_PROXY, NO_PROXY and REQUESTS_CA_BUNDLE (certificates) are respected.
    Ends with 1 if a file could not be fetched, and with 130 if it was interrupted.

    --json prints files; of each: model, name, error (null, or why it was not fetched), and if it is here:
    bytes, path, trust, shipped, source (a URL; null if it was here before), member (its name in the archive
    that came), failed (the sources that were tried before: url, reason).
    """
    from zoo.cli._fetch_progress import progress_bars
    from zoo.download import Network
    from zoo.download.parallel import fetch_all
    from zoo.store.cache import Cache

    if everything == bool(models):
        given = "both are given" if everything else "neither is given"
        raise UsageError(f"name the models to fetch, or say --all; {given}\n  all models: dsd-zoo list")
    catalog, cache = load_catalog(manifests), Cache()
    chosen = [catalog.get(name) for name in (catalog.names() if everything else models or ())]
    wanted = [file for manifest in chosen for file in manifest.model_files()]
    network = Network(mirrors=tuple(map(_mirror, mirror or ())), offline=offline)
    found: list[dict[str, Any]] = []
    try:
        with progress_bars() as progress_of:
            for file, result in zip(wanted, fetch_all(wanted, cache, network, progress_of), strict=True):
                found.append(_fields(file, result, cache))
                if not json:
                    _print(file, found[-1])
    except KeyboardInterrupt:
        if json:
            print_json({"files": found})
        raise InterruptedRunError(
            "interrupted; what has come is kept, the same command goes on from it"
        ) from None
    errors = [entry["error"] for entry in found if entry["error"] is not None]
    for error in errors:
        print(f"dsd-zoo: {error}", file=sys.stderr)
    if json:
        print_json({"files": found})
    if errors:
        raise typer.Exit(1)


def _mirror(given: str) -> str:
    """The URL of a mirror, which may be given as a folder."""
    if given.startswith(("https://", "http://", "file://")):
        return given
    if Path(given).is_dir():
        return Path(given).resolve().as_uri()
    raise UsageError(f"--mirror {given}: expected a URL (https://, http://, file://) or a folder")


def _fields(file: ModelFile, result: Fetched | ZooError, cache: Cache) -> dict[str, Any]:
    """What became of a file."""
    known = {"model": file.model, "name": file.name}
    if isinstance(result, ZooError):
        return {**known, "error": str(result)}
    return {
        **known,
        "bytes": result.path.stat().st_size,
        "path": str(result.path),
        "trust": cache.trust(file),
        "shipped": file.entry.path is not None,
        "source": result.source,
        "member": result.member,
        "failed": [asdict(failure) for failure in result.failed],
        "error": None,
    }


def _print(file: ModelFile, found: Mapping[str, Any]) -> None:
    if file.entry is file.manifest.files[0]:
        say(file.model)
    if found["error"] is not None:
        say(f"  {file.name}: not fetched")
    else:
        origin = "ships with the zoo" if found["shipped"] else "already in the cache"
        if found["source"] is not None:
            origin = f"from {found['source']}"
            origin += f" ({found['member']} in the archive there)" if found["member"] else ""
        say(f"  {file.name}: {human_bytes(found['bytes'])}, {found['trust']}, {origin}", "  ")
        for failure in found["failed"]:
            say(f"    before that {failure['url']}: {failure['reason']}".replace("\n", " "), "  ")
    sys.stdout.flush()
