"""Evaluates nodes that compute shapes, at conversion.

ONNX computes the target shape of a Reshape with nodes: Shape, Gather, Mul, Concat. Here such a value is a
small numpy array; an element that is known only at run time is an expression such as `x.shape[0]`. The
generated code then says `x.reshape(x.shape[0], 8, -1)`, and stays dynamic for torch.export.
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
from converters.to_pytorch.generated_net import Initializer

_ELEMENTWISE = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Div": np.floor_divide,
}
_MANIPULATION = {
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
    """The value of a node that only computes with sizes; None if it computes anything else."""
    if node.domain not in ("", "ai.onnx"):
        return None
    if node.op_type in ("Shape", "Size"):
        return _shape_or_size(node, inputs[0])
    if node.op_type not in _ELEMENTWISE and node.op_type not in _MANIPULATION:
        return None
    if node.outputs[0].dtype is not ir.DataType.INT64:
        return None  # sizes are int64; other types are ordinary values
    arrays = [_sizes(value) for value in inputs]
    known = [array for array in arrays if array is not None]
    if len(known) < len(arrays) or (node.op_type == "Div" and not _is_floor_division(*known)):
        return None
    if node.op_type in _ELEMENTWISE:
        return _integers(_as_array(_ELEMENTWISE[node.op_type](*known)))
    return _manipulate(node, known)


def _is_floor_division(dividends: np.ndarray, divisors: np.ndarray) -> bool:
    """Whether ONNX divides as Python's // does: it differs for negative numbers and for zero divisors."""
    numbers = [size for size in dividends.flat if not isinstance(size, fx.Proxy)]
    return all(size >= 0 for size in numbers) and all(isinstance(d, fx.Proxy) or d > 0 for d in divisors.flat)


def _sizes(value: Any) -> np.ndarray | None:  # noqa: ANN401
    """The array behind a value if it can hold sizes: small, of integers and expressions; else None."""
    array = value.array if isinstance(value, Initializer) else value
    if not isinstance(array, np.ndarray) or array.size > SHARED_CONSTANT_SIZE or array.dtype.kind not in "iO":
        return None
    return array


def _shape_or_size(node: ir.Node, x: Any) -> np.ndarray | None:  # noqa: ANN401
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
        return _integers(_as_array(math.prod(sizes.tolist())))
    start, end = node.attributes.get_int("start", 0), node.attributes.get_int("end", len(shape))
    return _integers(sizes[start:end])


def _manipulate(node: ir.Node, arrays: list[np.ndarray]) -> np.ndarray | None:
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
            return _integers(_as_array(np.take(x, rest[0].astype(np.int64), attributes.get_int("axis", 0))))
        case "ReduceProd":
            product = _as_array(math.prod(x.tolist())) if x.ndim == 1 else None
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


def _as_array(value: Any) -> np.ndarray:  # noqa: ANN401
    """A result as an array: numpy returns a single element as it is, and would iterate over an expression."""
    if isinstance(value, np.ndarray):
        return value
    array = np.empty((), object)
    array[()] = value
    return array


def _integers(array: np.ndarray) -> np.ndarray:
    """The array as int64, unless an element is an expression."""
    return array if any(isinstance(size, fx.Proxy) for size in array.flat) else array.astype(np.int64)
