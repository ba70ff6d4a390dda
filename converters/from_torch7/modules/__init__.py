"""The nn classes, one function each: see `registry` for how one is declared."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from converters.from_torch7.modules import (
    activation,
    arithmetic,
    containers,
    convolution,
    distance,
    graph_module,
    linear,
    lookup,
    normalization,
    padding,
    pooling,
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
    containers,
    convolution,
    distance,
    graph_module,
    linear,
    lookup,
    normalization,
    padding,
    pooling,
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
