"""Names in manifests that are entries of a registry: a name that is none is an error that lists them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from converters import Registry
from zoo.bundled import KNOWN_DATASETS, LABEL_ORDERS, TASKS


@dataclass(frozen=True, eq=False)
class EntryOf:
    """A string that names an entry of `registry`, whatever it holds when the string is checked."""

    registry: Registry[Any]

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"type": "string", "enum": list(self.registry)}

    def check(self, value: str) -> str:
        """The name of an entry. ValueError if it is none."""
        if value not in self.registry:
            known = ", ".join(map(repr, self.registry))
            raise ValueError(f"no {self.registry.kind} of that name is known: expected one of {known}")
        return value


DatasetName = Annotated[str, EntryOf(KNOWN_DATASETS)]
LabelOrderName = Annotated[str, EntryOf(LABEL_ORDERS)]
TaskName = Annotated[str, EntryOf(TASKS)]
