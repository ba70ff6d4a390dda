"""`dsd-zoo add MODEL FILE`: register a file that was downloaded by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zoo.cli._options import ManifestsOption
from zoo.cli._subject import resolve_model
from zoo.cli.command import command


@command("add", order=40)
def add(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Name of the model; see `dsd-zoo list`.")],
    path: Annotated[Path, typer.Argument(metavar="FILE", help="The file; it is copied, not moved.")],
    name: Annotated[
        str | None,
        typer.Option("--as", metavar="NAME", help="Which file of the model it is, if that is not clear."),
    ] = None,
    replace: Annotated[
        bool,
        typer.Option(
            "--replace", help="Accept other content than at first use. Never overrules a known hash."
        ),
    ] = False,
    manifests: ManifestsOption = None,
) -> None:
    """Register a file that was downloaded by hand.

    It may lie in a zip or tar archive. It must agree with every size and hash on record. Of a file of which
    nothing is known beforehand, what comes first is put on record, and later files must match it.
    """
    from zoo.download import add_file
    from zoo.store.cache import Cache

    manifest = resolve_model(model, manifests)
    cache = Cache()
    file, stored = add_file(manifest, path, cache, name=name, replace=replace)
    print(f"{manifest.name}: {file.name} is now in the cache ({cache.trust(file)})\n  {stored}")
    missing = [other.name for other in manifest.model_files() if cache.find(other) is None]
    if missing:
        print(f"  still missing: {', '.join(missing)}; run: dsd-zoo fetch {manifest.name}")
