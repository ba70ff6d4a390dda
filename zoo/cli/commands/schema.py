"""`dsd-zoo schema [manifest|recipe|result]`: the JSON Schema of a file."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from zoo.cli._options import JsonOption
from zoo.cli._output import print_json
from zoo.cli.command import command

DIALECT = "https://json-schema.org/draft/2020-12/schema"


@command("schema", order=170)
def schema(
    of: Annotated[
        Literal["manifest", "recipe", "result"],
        typer.Argument(help="A model's manifest, a training recipe, or the result.json of a run."),
    ] = "manifest",
    json: JsonOption = False,
) -> None:
    """Print the JSON Schema of a manifest, of a recipe for `dsd-zoo train`, or of a result.

    A manifest is a TOML file with the name of its model; a folder of them is what --manifests of the other
    commands takes. Editors check a file against its schema as it is written; rules that span several fields
    are checked when it is read.

    The result.json of `dsd-zoo validate` has a schema_version. Within one, fields are added, and none is
    renamed, removed or given another meaning. A schema is JSON with and without --json.
    """
    if of == "result":
        from zoo.evidence.json_schema import result_schema

        content = result_schema()
    elif of == "recipe":
        from zoo.catalog.json_schema import schema_of
        from zoo.training.recipe import Recipe

        content = schema_of(Recipe)
    else:
        from zoo.catalog.json_schema import manifest_schema

        content = manifest_schema()
    print_json({"$schema": DIALECT, **content})
