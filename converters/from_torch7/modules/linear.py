"""Linear maps of vectors."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from converters.errors import FormatError, MismatchError
from converters.from_torch7.builder import Builder
from converters.from_torch7.module import Module
from converters.from_torch7.registry import batch_first, module
from converters.graph import dims, shape_text


def affine(g: Builder, m: Module, x: ir.Value, weight: ir.Value, bias: ir.Value | None) -> ir.Value:
    """weight * x + bias for a vector, or for every row of a matrix; weight is outputs x inputs."""
    outputs, inputs = dims(weight)
    if len(dims(x)) not in (1, 2):
        raise m.error(FormatError, f"takes 1-D or 2-D input, not {shape_text(dims(x))}")
    came = dims(x)[-1]
    if isinstance(came, int) and came != inputs:
        raise m.error(MismatchError, f"takes {inputs} features, but {came} arrive ({shape_text(dims(x))})")
    rows = g.unsqueeze(x, 0) if len(dims(x)) == 1 else x
    out = g.node("Gemm", rows, weight, bias, shape=(dims(rows)[0], outputs), transB=1)
    return g.squeeze(out, [0]) if len(dims(x)) == 1 else out


def matrix(m: Module, name: str = "weight") -> np.ndarray:
    """A weight that must be a matrix."""
    array = m.tensor(name)
    if array.ndim != 2:
        raise m.error(MismatchError, f"tensor {name!r} is {shape_text(array.shape)}; expected a matrix")
    return array


@module("Linear", expects=lambda m: batch_first(matrix(m).shape[1]))
def linear(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """weight * x + bias; the bias may be absent."""
    weight = matrix(m)
    bias = m.optional_tensor("bias", weight.shape[:1])
    return affine(g, m, x, g.weight("weight", weight), None if bias is None else g.weight("bias", bias))
