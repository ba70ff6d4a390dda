"""Tensors whose shape is known only when the net runs, because it contains the batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from converters.graph import Graph, scalar
from converters.sizes import Dim, Symbol, dims


def full_like(g: Graph, like: ir.Value, value: float) -> ir.Value:
    """A float32 blob with the shape of `like` that holds one value everywhere."""
    return g.node("Expand", g.constant(scalar(value)), shape_tensor(g, like, dims(like)), shape=dims(like))


def shape_tensor(g: Graph, like: ir.Value, shape: Sequence[Dim]) -> ir.Value | np.ndarray:
    """`shape` as int64 values; only its first size may be symbolic, and must then be the first of `like`."""
    if not isinstance(shape[0], Symbol):
        return np.array(shape, np.int64)
    first = g.node("Shape", like, shape=(1,), dtype=ir.DataType.INT64, start=0, end=1)
    if len(shape) == 1:
        return first
    return g.node("Concat", first, np.array(shape[1:], np.int64), shape=(len(shape),), axis=0)
