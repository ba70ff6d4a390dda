"""The Torch7 module classes, one function each. See `registry` for how to add one.

Importing this package imports every file in it, which registers the classes in that file.
"""

from __future__ import annotations

import sys

from converters.from_torch7.registry import CLASSES
from converters.registry import modules_in

FAMILIES = tuple(modules_in(sys.modules[__name__]))

__all__ = ["CLASSES", "FAMILIES", "support"]


def support() -> list[tuple[str, str]]:
    """(class, what it computes or why it is not converted), by name.

    A name without prefix is nn's. Classes of the same name under another prefix (`conversion.NN_PREFIXES`)
    are converted alike, unless they are listed themselves.
    """
    return sorted((name, module_class.summary) for name, module_class in CLASSES.items())
