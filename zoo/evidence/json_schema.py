"""The JSON Schema of result.json."""

from __future__ import annotations

from typing import Any

from zoo.evidence.run import Result


def result_schema() -> dict[str, Any]:
    """The JSON Schema of `Result`. Within a `schema_version` fields are added, none is renamed."""
    return {
        **Result.model_json_schema(mode="serialization"),
        # A reader of today takes what a later version adds.
        "additionalProperties": True,
    }
