"""The JSON Schema of result.json."""

from __future__ import annotations

from typing import Any

from zoo.evidence.run import Result
from zoo.schema import field_docstrings


def result_schema() -> dict[str, Any]:
    """The JSON Schema of `Result`, with what the docstrings of its fields say.

    Within a `schema_version` fields are added, none is renamed.
    """
    schema = Result.model_json_schema(mode="serialization")
    for field, text in field_docstrings(Result).items():
        schema["properties"][field].setdefault("description", text)
    # A reader of today takes what a later version adds.
    return {**schema, "additionalProperties": True}
