"""The JSON Schema of a manifest, or of another record, with what the docstrings of its fields say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from zoo.catalog.manifest import Manifest
from zoo.schema import Data, field_docstrings


def manifest_schema() -> dict[str, Any]:
    """The JSON Schema of a manifest."""
    return schema_of(Manifest)


def schema_of(record: type[Data]) -> dict[str, Any]:
    """The JSON Schema of a record that people write.

    pydantic could read the docstrings itself, but would then do so whenever a record is read, which takes
    longer than reading it.
    """
    schema = record.model_json_schema()
    records = {known.__name__: known for known in _subclasses(Data)}
    for name, definition in [(record.__name__, schema), *schema["$defs"].items()]:
        for field, text in field_docstrings(records[name]).items():
            definition["properties"][field].setdefault("description", text)
    return schema


def _subclasses(record: type[Data]) -> Iterator[type[Data]]:
    for subclass in record.__subclasses__():
        yield subclass
        yield from _subclasses(subclass)
