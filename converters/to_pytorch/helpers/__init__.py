"""Functions that a generated file contains when it calls them.

Their source is copied into the file together with the other helpers they call, so
they use only torch, `F` and each other.
"""

from __future__ import annotations

import sys
from types import FunctionType

from converters.registry import modules_in


def names() -> set[str]:
    """The names of all helper functions."""
    return {
        name
        for family in modules_in(sys.modules[__name__])
        for name, value in vars(family).items()
        if isinstance(value, FunctionType)
    }
