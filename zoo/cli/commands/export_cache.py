"""`dsd-zoo export-cache DIR [MODEL...]`: copy downloaded files to a folder, to carry or to serve."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zoo.cli._completion import complete_models
from zoo.cli._mirror_text import print_copied
from zoo.cli._options import JsonOption, ManifestsOption
from zoo.cli._output import say
from zoo.cli._subject import load_catalog
from zoo.cli.command import command
from zoo.errors import UsageError


@command("export-cache", order=50)
def export_cache(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder to write to.")],
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MODEL]...",
            help="All that is in the cache if none is given.",
            autocompletion=complete_models,
        ),
    ] = None,
    json: JsonOption = False,
    manifests: ManifestsOption = None,
) -> None:
    """Export the cache to a folder, to carry or to serve.

    On a machine without network `dsd-zoo import-cache DIR` takes it in. Served by any web server, or on a
    shared disk, it is what `dsd-zoo fetch --mirror URL|DIR` asks. Every file is verified on the way; ends
    with 1 if one is damaged.

    --json prints: folder, cache, files (model, name, outcome, error).
    """
    from zoo.download.mirror import export_cache as export
    from zoo.store.cache import Cache

    catalog, cache = load_catalog(manifests), Cache()
    chosen = [catalog.get(name) for name in models or catalog.names()]
    count = print_copied(export(cache, chosen, folder), folder, cache.root, json=json)
    if not count:
        raise UsageError(f"nothing to export: the cache {cache.root} has no file of these models")
    if not json:
        say(f"{count} files in {folder}")
