"""`dsd-zoo schema`: the JSON Schema of a manifest."""

from __future__ import annotations

from zoo.cli._output import print_json
from zoo.cli.command import command

DIALECT = "https://json-schema.org/draft/2020-12/schema"


@command("schema", order=170)
def schema() -> None:
    """Print the JSON Schema of a manifest.

    A manifest is a TOML file with the name of its model; a folder of them is what --manifests of the other
    commands takes. Editors check a manifest against the schema as it is written; rules that span several
    fields are checked when it is read.
    """
    from zoo.catalog.json_schema import manifest_schema

    print_json({"$schema": DIALECT, **manifest_schema()})
