"""`dsd-zoo fetch MODEL...`: bring the files of models into the cache."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from zoo.cli._common import ManifestsOption, human_bytes, load_catalog
from zoo.errors import FetchError, IntegrityError, UsageError

if TYPE_CHECKING:
    from zoo.cache import Cache
    from zoo.download import Progress
    from zoo.manifest import File, Manifest


def fetch(
    models: Annotated[
        list[str] | None, typer.Argument(metavar="MODEL...", help="Names of models; see `dsd-zoo list`.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All models of the zoo.")] = False,
    offline: Annotated[
        bool, typer.Option("--offline", help="Never touch the network; file:// sources still count.")
    ] = False,
    manifests: ManifestsOption = None,
) -> None:
    """Download the files of models into the cache, and verify them.

    The sources of a file are tried in order. Only bytes that agree with every size and hash on record are
    kept. Where nothing is known beforehand, the first download is put on record and later ones must match.
    Ends with 1 if a file could not be had.
    """
    from zoo.cache import Cache

    if everything == bool(models):
        raise UsageError("name the models to fetch, or say --all\n  all models: dsd-zoo list")
    catalog = load_catalog(manifests)
    store = Cache()
    chosen = [catalog.get(name) for name in (catalog.names() if everything else models or ())]
    errors = [error for manifest in chosen for error in _fetch_model(manifest, store, offline)]
    for error in errors:
        print(f"dsd-zoo: {error}", file=sys.stderr)
    if errors:
        raise typer.Exit(1)


def _fetch_model(manifest: Manifest, store: Cache, offline: bool) -> list[FetchError | IntegrityError]:
    from zoo.download import fetch_file

    print(manifest.name)
    errors: list[FetchError | IntegrityError] = []
    for file in manifest.files:
        try:
            with _progress_bar(manifest, file, store) as progress:
                fetched = fetch_file(manifest, file, store, offline=offline, progress=progress)
        except (FetchError, IntegrityError) as error:
            errors.append(error)
            print(f"  {file.name}: not fetched")
            continue
        origin = (
            f"from {fetched.source}"
            if fetched.source
            else ("ships with the zoo" if file.path else "already in the cache")
        )
        size = human_bytes(fetched.path.stat().st_size)
        print(f"  {file.name}: {size}, {store.trust(manifest, file)}, {origin}")
        for attempt in fetched.failed:
            print(f"    before that {attempt.url}: {attempt.outcome}".replace("\n", " "))
    return errors


@contextmanager
def _progress_bar(manifest: Manifest, file: File, store: Cache) -> Iterator[Progress | None]:
    if not sys.stderr.isatty() or store.find(manifest, file) is not None:
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as Bars

    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Bars(
        TextColumn("  {task.description}"), *columns, console=Console(stderr=True), transient=True
    ) as bars:
        task = bars.add_task(file.name, total=file.bytes)
        yield lambda done, total: bars.update(task, completed=done, total=total)
