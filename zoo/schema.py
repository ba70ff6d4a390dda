"""Kinds of strings in manifests, each with its rule, also for the JSON Schema; the base of all records."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
)
from pydantic_core import CoreSchema, core_schema


@dataclass(frozen=True)
class Pattern:
    """A string that the regular expression `pattern` matches as a whole; errors say `expected` in words."""

    pattern: str
    expected: str

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"type": "string", "pattern": f"^(?:{self.pattern})$"}

    def _check(self, value: str) -> str:
        if not re.fullmatch(self.pattern, value):
            raise ValueError(f"expected {self.expected}")
        return value


def _hex(length: int) -> Pattern:
    return Pattern(f"[0-9a-f]{{{length}}}", f"{length} lower-case hex digits")


Hex40 = Annotated[str, _hex(40)]
Hex64 = Annotated[str, _hex(64)]
Hex96 = Annotated[str, _hex(96)]
Name = Annotated[
    str, Pattern("[A-Za-z0-9][A-Za-z0-9._-]*", "letters, digits, '.', '_' and '-' only, no folder")
]
# Neither absolute nor through '..'; a backslash or a colon would mean something else on Windows.
RelativePath = Annotated[
    str,
    Pattern(
        r"(?!/)(?!(?:.*/)?\.\.(?:/|$))[^\\:]+",
        "a relative path with '/' that stays inside the manifest's folder",
    ),
]
Url = Annotated[
    str,
    Pattern(
        r"(?:https|http|file)://[^\s\x00-\x1f]+",
        "a URL without blanks that starts with https://, http:// or file://",
    ),
]


class Data(BaseModel):
    """Base of the frozen records that are read from files: an unknown field is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def field_docstrings(record: type[BaseModel]) -> dict[str, str]:
    """The string below each field of a record, and of those that it inherits from, by the field's name."""
    found: dict[str, str] = {}
    for base in reversed(record.__mro__):
        if base is BaseModel or not issubclass(base, BaseModel):
            continue
        (definition,) = ast.parse(textwrap.dedent(inspect.getsource(base))).body
        assert isinstance(definition, ast.ClassDef)
        for field, below in zip(definition.body, definition.body[1:], strict=False):
            if not isinstance(field, ast.AnnAssign) or not isinstance(field.target, ast.Name):
                continue
            if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
                found[field.target.id] = inspect.cleandoc(str(below.value.value))
    return found
