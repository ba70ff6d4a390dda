"""Linear maps of vectors, and products of matrices."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from converters.errors import FormatError, MismatchError
from converters.from_torch7.backward_shape_inference import Expected, batch_first
from converters.from_torch7.builder import Builder
from converters.from_torch7.module import Module
from converters.from_torch7.modules.checks import check_channels, check_rank, two_tensors
from converters.from_torch7.objects import Tensor
from converters.from_torch7.registry import module
from converters.sizes import dims, shape_text


def affine(g: Builder, m: Module, x: ir.Value, weight: ir.Value, bias: ir.Value | None) -> ir.Value:
    """weight * x + bias for a vector x or each row of a matrix; the weight is outputs x inputs."""
    outputs, inputs = dims(weight)
    check_rank(m, x, 1, 2)
    features = dims(x)[-1]
    if isinstance(features, int) and features != inputs:
        raise m.error(
            MismatchError, f"takes {inputs} features, but {features} arrive ({shape_text(dims(x))})"
        )
    rows = as_rows(g, x)
    out = g.node("Gemm", rows, weight, bias, shape=(dims(rows)[0], outputs), transB=1)
    return g.squeeze(out, [0]) if len(dims(x)) == 1 else out


def as_rows(g: Builder, x: ir.Value) -> ir.Value:
    """A vector as a matrix of one row; a matrix unchanged."""
    return g.unsqueeze(x, 0) if len(dims(x)) == 1 else x


def matrix_weight(m: Module, name: str = "weight") -> np.ndarray:
    """A weight, which must be a matrix, else MismatchError."""
    array = m.tensor(name)
    if array.ndim != 2:
        raise m.error(MismatchError, f"tensor {name!r} is {shape_text(array.shape)}; expected a matrix")
    return array


def expected_features(m: Module) -> Expected:
    """N x inputs, for a weight of outputs x inputs."""
    return batch_first(matrix_weight(m).shape[1])


@module(
    "Linear",
    "LinearNB",
    "LinearNoBackprop",
    "LinearNoBias",
    "fbnn.NormalizedLinearNoBias",
    name="linear",
    expects=expected_features,
)
def linear(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """weight * x + bias; the bias may be absent."""
    weight = matrix_weight(m)
    bias = m.optional_tensor("bias", weight.shape[:1])
    return affine(g, m, x, g.weight("weight", weight), None if bias is None else g.weight("bias", bias))


@module("LinearWeightNorm", name="linear", expects=lambda m: batch_first(matrix_weight(m, "v").shape[1]))
def linear_weight_norm(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """A Linear with weight = g * v / |v| for each row.

    evaluate() computes the weight, unless the module is in evaluation already: then the stored weight counts,
    if it is not empty and not marked as out of date (`dirty`, in old files).
    """
    v = matrix_weight(m, "v")
    stored = m.get("weight")
    kept = isinstance(stored, Tensor) and stored.array.size > 0
    if m.get("train") is False and kept and not m.flag("dirty"):
        weight = g.weight("weight", m.tensor("weight", v.shape))
    else:
        norm = np.maximum(np.linalg.norm(v, axis=1, keepdims=True), m.number("eps", 1e-16))
        weight = g.parameter("weight", (m.tensor("g").reshape(-1, 1) / norm * v).astype(np.float32))
    bias = m.optional_tensor("bias", v.shape[:1])
    return affine(g, m, x, weight, None if bias is None else g.weight("bias", bias))


@module("PartialLinear", name="linear", expects=lambda m: batch_first(m.integer("inputsize")))
def partial_linear(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """A Linear of which only the outputs listed in `partition` (from 1) are computed."""
    layers = m.child("network").children()
    lookup = next((child for child in layers[0].children() if child.has("weight")), None) if layers else None
    if lookup is None:
        raise m.error(FormatError, "field 'network' holds no module with a weight")
    weight = matrix_weight(lookup)
    rows = m.tensor("partition").reshape(-1).astype(np.int64) - 1
    if rows.min() < 0 or rows.max() >= weight.shape[0]:
        raise m.error(FormatError, f"tensor 'partition' names outputs other than 1 to {weight.shape[0]}")
    bias = m.optional_tensor("bias", (1, weight.shape[0]))
    if not np.array_equal(rows, np.arange(weight.shape[0])):
        weight, bias = weight[rows], None if bias is None else bias[:, rows]
    offsets = None if bias is None else g.weight("bias", bias.reshape(-1))
    return affine(g, m, x, g.weight("weight", weight), offsets)


@module("Bilinear", takes="table", expects=lambda m: [batch_first(n) for n in m.tensor("weight").shape[1:]])
def bilinear(g: Builder, m: Module, x: list[ir.Value]) -> ir.Value:
    """x1' W_k x2 + b_k for every output k and every row of x1 and x2; W is outputs x inputs1 x inputs2."""
    first, second = two_tensors(m, x)
    weight = m.tensor("weight")
    if weight.ndim != 3 or len(dims(first)) != 2 or len(dims(second)) != 2:
        raise m.error(FormatError, "takes two matrices and a weight of three dimensions")
    outputs, inputs1, inputs2 = weight.shape
    check_channels(m, first, 1, inputs1)
    check_channels(m, second, 1, inputs2)
    batch = dims(first)[0]
    if batch != dims(second)[0] and isinstance(batch, int) and isinstance(dims(second)[0], int):
        raise m.error(
            MismatchError,
            f"takes two matrices of equally many rows, but {batch} and {dims(second)[0]} arrive",
        )
    rows = g.reshape(first, (batch, 1, 1, inputs1))
    columns = g.reshape(second, (batch, 1, inputs2, 1))
    left = g.node("MatMul", rows, g.weight("weight", weight), shape=(batch, outputs, 1, inputs2))
    scores = g.reshape(g.node("MatMul", left, columns, shape=(batch, outputs, 1, 1)), (batch, outputs))
    bias = m.optional_tensor("bias", (outputs,))
    return scores if bias is None else g.binary("Add", scores, g.weight("bias", bias))


@module("MM", name="matmul", takes="table", expects=[None, None])
def matrix_product(g: Builder, m: Module, x: list[ir.Value]) -> ir.Value:
    """The product of two matrices or batches of them; transA transposes the first, transB the second."""
    a, b = two_tensors(m, x)
    if len(dims(a)) != len(dims(b)) or len(dims(a)) not in (2, 3):
        raise m.error(FormatError, f"cannot multiply {shape_text(dims(a))} and {shape_text(dims(b))}")
    a = swap_last_two(g, a) if m.flag("transA") else a
    b = swap_last_two(g, b) if m.flag("transB") else b
    return matmul(g, m, a, b)


@module("MV", name="matvec", takes="table", expects=[None, None])
def matrix_vector(g: Builder, m: Module, x: list[ir.Value]) -> ir.Value:
    """The product of a matrix and a vector, or of batches of them; trans transposes the matrix."""
    a, v = two_tensors(m, x)
    if len(dims(a)) != len(dims(v)) + 1 or len(dims(a)) not in (2, 3):
        raise m.error(FormatError, f"cannot multiply {shape_text(dims(a))} and {shape_text(dims(v))}")
    a = swap_last_two(g, a) if m.flag("trans") else a
    columns = g.unsqueeze(v, len(dims(v)))
    return g.squeeze(matmul(g, m, a, columns), [len(dims(v))])


def matmul(g: Builder, m: Module, a: ir.Value, b: ir.Value) -> ir.Value:
    """MatMul of matrices or batches of them, with sizes that are checked to agree."""
    pairs = [(dims(a)[-1], dims(b)[-2]), *zip(dims(a)[:-2], dims(b)[:-2], strict=True)]
    if any(isinstance(left, int) and isinstance(right, int) and left != right for left, right in pairs):
        raise m.error(MismatchError, f"cannot multiply {shape_text(dims(a))} and {shape_text(dims(b))}")
    return g.node("MatMul", a, b, shape=(*dims(a)[:-1], dims(b)[-1]))


def swap_last_two(g: Builder, x: ir.Value) -> ir.Value:
    """x with its last two dimensions swapped."""
    rank = len(dims(x))
    return g.transpose(x, [*range(rank - 2), rank - 1, rank - 2])
