"""`dsd-zoo schema [manifest|recipe]`: the JSON Schema of a file that people write."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from zoo.cli._output import print_json
from zoo.cli.command import command

DIALECT = "https://json-schema.org/draft/2020-12/schema"


@command("schema", order=170)
def schema(
    kind: Annotated[
        Literal["manifest", "recipe"], typer.Argument(help="Of a model's manifest or a training recipe.")
    ] = "manifest",
) -> None:
    """Print the JSON Schema of a manifest, or of a recipe for `dsd-zoo train`.

    A manifest is a TOML file with the name of its model; a folder of them is what --manifests of the other
    commands takes. Editors check a file against its schema as it is written; rules that span several fields
    are checked when it is read.
    """
    if kind == "recipe":
        from zoo.catalog.json_schema import schema_of
        from zoo.training.recipe import Recipe

        content = schema_of(Recipe)
    else:
        from zoo.catalog.json_schema import manifest_schema

        content = manifest_schema()
    print_json({"$schema": DIALECT, **content})
