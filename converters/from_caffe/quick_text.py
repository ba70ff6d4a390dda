"""Reads the usual forms of protobuf text, in a fifth of the time that protobuf's own parser takes.

A long definition would take most of its time in that parser, which is written in Python. What is read here
is what definitions are made of: `name: value`, `name { ... }`, comments, and strings, numbers and words as
people write them. Whatever else there is (escaped characters, lists in brackets, octal numbers, any error),
protobuf's parser reads from the start, and words the error.
"""

from __future__ import annotations

import functools
import re
from typing import Any

from converters.from_caffe import schema

# One field, or the end of a message, with the space and the comments before it. Possessive, so that each
# character is looked at once. A number or a word must end where protobuf's parser lets it end.
_ITEM = re.compile(
    r"(?:[ \t\r\n]++|#[^\n]*+)*+"
    r"(?:(?P<name>[a-zA-Z_][a-zA-Z0-9_]*+)[ \t\r\n]*+"
    r"(?:(?::[ \t\r\n]*+)?(?P<begin>\{)"
    r"|:[ \t\r\n]*+(?:\"(?P<string>[ !#-\[\]-~]*+)\"|'(?P<quoted>[ -&(-\[\]-~]*+)'"
    r"|(?P<integer>-?+(?:0|[1-9][0-9]*+))(?![0-9a-zA-Z_.+-])"
    r"|(?P<real>-?+(?:0|[1-9][0-9]*+)(?:\.[0-9]*+)?+(?:[eE][+-]?+[0-9]++)?+)(?![0-9a-zA-Z_.+-])"
    r"|(?P<word>[a-zA-Z_][a-zA-Z0-9_]*+)(?![+-]))(?:[ \t\r\n]*+[,;])?+)"
    r"|(?P<end>\})(?:[ \t\r\n]*+[,;])?+"
    r"|(?P<last>\Z))"
)
_GROUPS = _ITEM.groupindex
# The groups of `_ITEM` that hold a value of a field of this kind.
_STRINGS = frozenset({_GROUPS["string"], _GROUPS["quoted"]})
_INTEGERS = frozenset({_GROUPS["integer"]})
_NUMBERS = frozenset({_GROUPS["integer"], _GROUPS["real"]})
_WORDS = frozenset({_GROUPS["word"]})
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
# No message of a definition is nested so deeply.
_MOST_DEPTH = 20


class _Field:
    """How to read one field: which groups of `_ITEM` may hold its value, and what makes a value of the text.

    inner: the descriptor of the message that the field holds; None for a scalar.
    """

    __slots__ = ("groups", "inner", "is_repeated", "value")

    def __init__(self, field: Any) -> None:  # noqa: ANN401
        self.is_repeated: bool = field.is_repeated
        self.inner = field.message_type
        self.groups: frozenset[int] = frozenset()
        self.value: Any = str
        if field.cpp_type in (field.CPPTYPE_FLOAT, field.CPPTYPE_DOUBLE):
            self.groups, self.value = _NUMBERS, float
        elif field.cpp_type == field.CPPTYPE_BOOL:
            self.groups, self.value = _WORDS | _INTEGERS, _BOOLEANS.__getitem__
        elif field.cpp_type == field.CPPTYPE_ENUM:
            values = field.enum_type.values
            numbers = {value.name: value.number for value in values}
            numbers |= {str(value.number): value.number for value in values}
            self.groups, self.value = _WORDS | _INTEGERS, numbers.__getitem__
        elif field.type == field.TYPE_STRING:
            self.groups = _STRINGS
        elif field.cpp_type in (field.CPPTYPE_INT32, field.CPPTYPE_INT64, field.CPPTYPE_UINT32):
            self.groups, self.value = _INTEGERS, int


@functools.cache
def _fields(message: Any) -> dict[str, _Field]:  # noqa: ANN401
    """How to read the fields of a message with this descriptor, by name."""
    return {field.name: _Field(field) for field in message.fields}


def read_quickly(net: schema.Message, text: str) -> bool:
    """Read `text` into an empty message; False, with anything in it, where protobuf's parser must read it."""
    message, known = net, _fields(net.DESCRIPTOR)
    outer: list[tuple[schema.Message, dict[str, _Field]]] = []
    match, position = _ITEM.match, 0
    end, last, begin = _GROUPS["end"], _GROUPS["last"], _GROUPS["begin"]
    try:
        while (item := match(text, position)) is not None:
            group, position = item.lastindex, item.end()
            if group == end:
                message, known = outer.pop()
                continue
            if group == last:
                return not outer
            name = item[1]
            field = known[name]
            if not field.is_repeated and message.HasField(name):
                return False
            if group == begin and field.inner is not None and len(outer) < _MOST_DEPTH:
                outer.append((message, known))
                message = getattr(message, name)
                if field.is_repeated:
                    message = message.add()
                else:
                    message.SetInParent()
                known = _fields(field.inner)
            elif group not in field.groups:
                return False
            elif field.is_repeated:
                getattr(message, name).append(field.value(item[group]))
            else:
                setattr(message, name, field.value(item[group]))
    except (KeyError, IndexError, ValueError):  # an unknown name or word, an end of nothing, a large number
        return False
    return False
