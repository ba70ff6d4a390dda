"""Modules that are loaded when something of them is first used, not when a library imports them.

onnx_ir imports sympy for arithmetic with symbolic sizes. No conversion does such arithmetic, and loading
sympy takes a quarter of the processor time of a small conversion.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import LazyLoader
from types import ModuleType

# onnx_ir's module about symbolic shapes uses sympy as soon as it is loaded.
_DEFERRED = frozenset({"sympy", "onnx_ir._symbolic_shapes"})


class _DeferringFinder(MetaPathFinder):
    """Finds the deferred modules where Python finds them, and leaves each alone once it was imported."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec of a deferred module, with a loader that waits until it is used."""
        if fullname not in _DEFERRED:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = LazyLoader(spec.loader)
        return spec


def defer_imports() -> None:
    """Defer the modules from now on; one that is loaded already stays loaded."""
    if not any(isinstance(finder, _DeferringFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _DeferringFinder())
