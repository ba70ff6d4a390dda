"""Which initializers of a model are weights, and which are constants of the computation (shapes, axes, pads).

`Graph` marks every initializer it makes. A model read from an .onnx file has no marks; there the name
decides, which is exact for files this project wrote:

    <layer>.<name>                          a weight
    constant_<k>, <layer>/constant[_<k>]    a constant
    any other name                          unknown: another tool wrote the file
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import onnx_ir as ir

_MARK = "is_weight"
_CONSTANT_NAME = re.compile(r"(?:^|/)constant(?:_\d+)?$")


def mark_weight(value: ir.Value, is_weight: bool) -> None:
    """Records in a value's `meta` whether it is a weight. The mark is not written to files."""
    value.meta[_MARK] = is_weight


def is_weight(value: ir.Value) -> bool | None:
    """Whether an initializer is a weight; None if neither a mark nor its name says."""
    marked: bool | None = value.meta.get(_MARK)
    return is_weight_name(str(value.name)) if marked is None else marked


def is_weight_name(name: str) -> bool | None:
    """Whether a name is that of a weight, None for a name this project does not give."""
    if _CONSTANT_NAME.search(name):
        return False
    return True if "." in name else None


def weights_of(model: ir.Model) -> dict[str, np.ndarray]:
    """The floating-point weights of a model by name, in its order, running statistics included; no copies.

    In a file of another tool, every floating-point initializer counts whose name does not say otherwise.
    """
    found = {}
    for name, value in model.graph.initializers.items():
        if value.const_value is None or is_weight(value) is False:
            continue
        array = value.const_value.numpy()
        if array.dtype.kind == "f":
            found[name] = array
    return found
