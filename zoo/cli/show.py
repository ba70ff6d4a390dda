"""`dsd-zoo show MODEL`: everything a newcomer needs to know about one model."""

from __future__ import annotations

from typing import Annotated

import typer

from zoo.cli._common import JsonOption, ManifestsOption, print_json, resolve_model


def show(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Name of a model; see `dsd-zoo list`.")],
    json: JsonOption = False,
    manifests: ManifestsOption = None,
) -> None:
    """Show one model: what it is, what was claimed, where its files come from, what to run next."""
    manifest = resolve_model(model, manifests)
    if json:
        print_json(manifest.model_dump())
        return
    print(manifest.title)
