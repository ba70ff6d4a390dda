"""The ONNX operators by family: one module per family, one function per operator.

A new operator is a decorated function in one of these modules, or in a new one; no list names it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping

from converters.registry import modules_in
from converters.to_pytorch.registry import OPERATORS, Operator


def operators() -> Mapping[str, Operator]:
    """Every operator that can be written as PyTorch, by its ONNX name."""
    for _ in modules_in(sys.modules[__name__]):
        pass  # importing a module registers its operators
    return OPERATORS
