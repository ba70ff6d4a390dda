"""The nn classes, one function each: see `registry` for how one is declared."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from converters.from_torch7.modules import (
    activation,
    arithmetic,
    community,
    containers,
    convolution,
    distance,
    facebook,
    graph_module,
    linear,
    lookup,
    normalization,
    padding,
    pooling,
    recurrent,
    reduction,
    refused,
    shape,
    sparse_convolution,
    table,
    unpooling,
    upsampling,
    wrappers,
)
from converters.from_torch7.registry import Entry

FAMILIES = (
    activation,
    arithmetic,
    community,
    containers,
    convolution,
    distance,
    facebook,
    graph_module,
    linear,
    lookup,
    normalization,
    padding,
    pooling,
    recurrent,
    reduction,
    refused,
    shape,
    sparse_convolution,
    table,
    unpooling,
    upsampling,
    wrappers,
)


@cache
def classes() -> Mapping[str, Entry]:
    """Every declared class by name; names without prefix stand for nn and its twins."""
    entries = [item for family in FAMILIES for item in vars(family).values() if isinstance(item, Entry)]
    return MappingProxyType({name: entry for entry in entries for name in entry.classes})


def support() -> list[tuple[str, str]]:
    """(class, what it computes or why it is refused), by name.

    Names without prefix are nn's; classes of the same name under another prefix (`net.TWINS`) are converted
    alike, unless they are listed themselves.
    """
    return sorted((name, entry.summary) for name, entry in classes().items())
