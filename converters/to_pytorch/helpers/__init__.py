"""Functions that a generated file carries along when it uses them.

Each is copied into the file as it stands here, with those of its siblings that it
calls. So they use nothing but torch, `F` and each other.
"""

from __future__ import annotations

from types import FunctionType

from converters.to_pytorch.helpers import (
    arrangement,
    indexing,
    pooling,
    recurrent,
    reduction,
    regions,
    resizing,
)


def names() -> set[str]:
    """What the functions are called."""
    families = (
        arrangement,
        indexing,
        pooling,
        recurrent,
        reduction,
        regions,
        resizing,
    )
    return {
        name
        for family in families
        for name, value in vars(family).items()
        if isinstance(value, FunctionType)
    }
