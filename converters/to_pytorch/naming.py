"""Turns names of layers and blobs into Python identifiers."""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Iterable

from converters.graph import UniqueNames
from converters.to_pytorch import helpers

# Names that the generated file uses itself.
_USED = {"F", "load", "load_file", "nn", "self", "torch"} | helpers.names()
# `input` is allowed: no network calls that builtin, and torch's own signatures use the name.
_RESERVED = (set(dir(builtins)) | set(keyword.kwlist) | set(keyword.softkwlist) | _USED) - {"input"}


class Names:
    """Gives out identifiers, each only once."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._names = UniqueNames(_RESERVED | set(taken))

    def unique(self, wanted: str) -> str:
        """`wanted` as an identifier that was not given yet: `data`, else `data_2`, `data_3`, ..."""
        base = identifier(wanted)
        if base in _RESERVED and f"{base}_" not in self._names:
            self._names.add(f"{base}_")
            return f"{base}_"
        return self._names.unique(base)


def identifier(name: str) -> str:
    """`name` with `_` for what Python does not allow: fire2/squeeze1x1 -> fire2_squeeze1x1.

    Leading underscores are removed, because Python mangles such names inside a class.
    """
    plain = re.sub(r"[^0-9A-Za-z_]+", "_", name).strip("_")
    if not plain:
        return "unnamed"
    return f"layer_{plain}" if plain[0].isdigit() else plain


def class_name(name: str) -> str:
    """A net's name as a class name: "VGG_ILSVRC_16_layers" -> VGGILSVRC16Layers."""
    words = re.findall(r"[0-9A-Za-z]+", name)
    camel = "".join(word[0].upper() + word[1:] for word in words)
    if not camel or camel[0].isdigit() or camel in _RESERVED:
        return f"Net{camel}"
    return camel


def printable(text: str) -> str:
    """`text` with line breaks, control and text-direction characters written as escapes."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
