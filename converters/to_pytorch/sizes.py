"""Arithmetic on shapes, done while the net is written.

ONNX computes the target of a reshape with nodes: Shape, Gather, Mul, Concat. Here such values are small
numpy arrays; a size known only at run time is an element that is an expression, `x.shape[0]`. So the
code says `x.reshape(x.shape[0], 8, -1)`, and stays dynamic for torch.export.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from torch import fx

from converters.graph import SHARED_CONSTANT_SIZE
from converters.to_pytorch.context import shape_of
from converters.to_pytorch.net import Initializer

_ELEMENTWISE = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Div": np.floor_divide,
}
_ARRANGING = {
    "Cast",
    "Concat",
    "Gather",
    "ReduceProd",
    "Reshape",
    "Slice",
    "Squeeze",
    "Unsqueeze",
}


def evaluate(node: ir.Node, inputs: Sequence[Any]) -> np.ndarray | None:
    """The value of a node that only computes with sizes, None if it does anything else."""
    if node.domain not in ("", "ai.onnx"):
        return None
    if node.op_type in ("Shape", "Size"):
        return _measure(node, inputs[0])
    if node.op_type not in _ELEMENTWISE and node.op_type not in _ARRANGING:
        return None
    if node.outputs[0].dtype is not ir.DataType.INT64:
        return None  # sizes are int64; anything else belongs into the computation
    arrays = [_known(entry) for entry in inputs]
    known = [array for array in arrays if array is not None]
    if len(known) < len(arrays) or (node.op_type == "Div" and not _divides(*known)):
        return None
    if node.op_type in _ELEMENTWISE:
        return _integers(_boxed(_ELEMENTWISE[node.op_type](*known)))
    return _arrange(node, known)


def _divides(dividends: np.ndarray, divisors: np.ndarray) -> bool:
    """Whether nothing is negative or zero where Python and ONNX divide differently."""
    numbers = [size for size in dividends.flat if not isinstance(size, fx.Proxy)]
    return all(size >= 0 for size in numbers) and all(isinstance(d, fx.Proxy) or d > 0 for d in divisors.flat)


def _known(entry: Any) -> np.ndarray | None:  # noqa: ANN401
    """Small integer arrays; anything else belongs into the computation."""
    array = entry.array if isinstance(entry, Initializer) else entry
    if not isinstance(array, np.ndarray) or array.size > SHARED_CONSTANT_SIZE or array.dtype.kind not in "iO":
        return None
    return array


def _measure(node: ir.Node, x: Any) -> np.ndarray | None:  # noqa: ANN401
    shape = (
        x.array.shape if isinstance(x, Initializer) else shape_of(node.inputs[0]) if node.inputs[0] else None
    )
    if shape is None or not isinstance(x, fx.Proxy | Initializer):
        return None
    sizes = np.empty(len(shape), object)
    run_time: Any = x.shape if isinstance(x, fx.Proxy) else shape
    for axis, size in enumerate(shape):
        sizes[axis] = run_time[axis] if size is None else size
    if node.op_type == "Size":
        return _integers(_boxed(math.prod(sizes.tolist())))
    start, end = node.attributes.get_int("start", 0), node.attributes.get_int("end", len(shape))
    return _integers(sizes[start:end])


def _arrange(node: ir.Node, arrays: list[np.ndarray]) -> np.ndarray | None:
    x, rest = arrays[0], arrays[1:]
    attributes = node.attributes
    match node.op_type:
        case "Cast":
            return x
        case "Concat":
            return _integers(
                np.concatenate([a.astype(object) for a in arrays], attributes.get_int("axis", 0))
            )
        case "Gather":
            return _integers(_boxed(np.take(x, rest[0].astype(np.int64), attributes.get_int("axis", 0))))
        case "ReduceProd":
            product = _boxed(math.prod(x.tolist())) if x.ndim == 1 else None
            if product is not None and attributes.get_int("keepdims", True):
                product = product.reshape(1)
            return product if product is None else _integers(product)
        case "Reshape":
            return x.reshape(rest[0].astype(np.int64)) if rest[0].all() else None
        case "Slice":
            return _slice(x, *rest)
        case "Squeeze":
            return np.squeeze(x, tuple(rest[0].tolist()) if rest else None)
        case _:
            return np.expand_dims(x, tuple(rest[0].tolist()))


def _slice(
    x: np.ndarray,
    starts: np.ndarray,
    ends: np.ndarray,
    axes: np.ndarray | None = None,
    steps: np.ndarray | None = None,
) -> np.ndarray:
    where = [slice(None)] * x.ndim
    for k, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
        axis = k if axes is None else int(axes[k])
        where[axis] = slice(start, end, None if steps is None else int(steps[k]))
    return x[tuple(where)]


def _boxed(value: Any) -> np.ndarray:  # noqa: ANN401
    """A result as an array; numpy gives single elements bare, and would look into an expression."""
    if isinstance(value, np.ndarray):
        return value
    box = np.empty((), object)
    box[()] = value
    return box


def _integers(array: np.ndarray) -> np.ndarray:
    """As int64 if no size is left to be known at run time."""
    return array if any(isinstance(size, fx.Proxy) for size in array.flat) else array.astype(np.int64)
