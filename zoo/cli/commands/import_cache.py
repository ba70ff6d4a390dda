"""`dsd-zoo import-cache DIR`: take in what `dsd-zoo export-cache` wrote on another machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zoo.cli._mirror_text import print_copied
from zoo.cli._options import JsonOption, ManifestsOption
from zoo.cli._output import say
from zoo.cli._subject import load_catalog
from zoo.cli.command import command


@command("import-cache", order=60)
def import_cache(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="What `dsd-zoo export-cache` wrote.")],
    json: JsonOption = False,
    manifests: ManifestsOption = None,
) -> None:
    """Import, and verify, what was exported on another machine.

    Each must be the file on record. Of a file of which nothing was known beforehand, what came first on the
    other machine counts, unless something came first here. Ends with 1 if a file is wrong or unknown.

    --json prints: folder, cache, files (model, name, outcome, error).
    """
    from zoo.download.mirror import import_cache as take_in
    from zoo.store.cache import Cache

    cache = Cache()
    count = print_copied(take_in(cache, load_catalog(manifests), folder), folder, cache.root, json=json)
    if not json:
        say(f"{count} files of {folder} are in the cache {cache.root}")
