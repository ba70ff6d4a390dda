"""Modules that select by index or mask.

Torch counts indices from 1 and takes them in tensors of any number type; see
`signature.type_integer_inputs`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from converters.errors import FormatError
from converters.from_torch7.backward_shape_inference import Expected, ShapeDependent, batch_first
from converters.from_torch7.builder import Builder
from converters.from_torch7.module import Module
from converters.from_torch7.modules.checks import check_rank, two_tensors
from converters.from_torch7.modules.linear import matrix_weight
from converters.from_torch7.modules.table import reshape_like
from converters.from_torch7.registry import module
from converters.sizes import Dim, Shape, Symbol, dims, shape_text


def zero_based_indices(g: Builder, x: ir.Value, first: int = 1) -> ir.Value:
    """Indices that count from `first`, as int64 that count from 0."""
    whole = g.cast(x, ir.DataType.INT64)
    return g.node("Sub", whole, np.array(first, np.int64)) if first else whole


@module(
    "LookupTable",
    "Dictionary",
    name="embedding",
    new_output=lambda x: isinstance(x, ir.Value) and len(dims(x)) == 2,
    expects=batch_first(None),
)
def lookup_table(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """The rows of the weight at the input's indices; rows longer than maxNorm are scaled down to it."""
    return look_up(g, m, x, m.tensor("weight"), 1)


@module(
    "LookupTableMaskZero",
    name="embedding",
    new_output=lambda x: isinstance(x, ir.Value) and len(dims(x)) == 2,
    expects=batch_first(None),
)
def lookup_table_mask_zero(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """The rows of the weight at the input's indices; the first row, for index 0, counts as zeros (rnn)."""
    weight = m.tensor("weight").astype(np.float32)
    weight[0] = 0
    return look_up(g, m, x, weight, 0)


def look_up(g: Builder, m: Module, x: ir.Value, weight: np.ndarray, first: int) -> ir.Value:
    """The rows at indices that count from `first`; with maxNorm, longer rows are scaled down to it."""
    check_rank(m, x, 1, 2)
    limit = m.number("maxNorm", 0)
    table = g.parameter("weight", renormalize(m, weight, limit)) if limit else g.weight("weight", weight)
    return g.node(
        "Gather", table, zero_based_indices(g, x, first), shape=(*dims(x), *weight.shape[1:]), axis=0
    )


def renormalize(m: Module, weight: np.ndarray, limit: float) -> np.ndarray:
    """The weight with longer rows scaled down to the length `limit` (THNN's LookupTable_renorm)."""
    p = m.positive("normType", 2)
    rows = weight.reshape(weight.shape[0], -1).astype(np.float64)
    lengths = (np.abs(rows) ** p).sum(axis=1) ** (1 / p)
    factors = np.where(lengths > limit, limit / (lengths + 1e-7), 1.0)
    return (rows * factors[:, None]).reshape(weight.shape).astype(np.float32)


@module("Index", takes="table", expects=[None, None])
def index(g: Builder, m: Module, x: list[ir.Value]) -> ir.Value:
    """The entries of a dimension at the places in a vector of indices."""
    data, places = two_tensors(m, x)
    axis = m.integer("dimension") - 1
    if len(dims(places)) != 1 or not 0 <= axis < len(dims(data)):
        raise m.error(
            FormatError,
            f"cannot index dimension {axis + 1} of {shape_text(dims(data))} by {shape_text(dims(places))}",
        )
    shape = (*dims(data)[:axis], *dims(places), *dims(data)[axis + 1 :])
    return g.node("Gather", data, zero_based_indices(g, places), shape=shape, axis=axis)


@module("MaskedSelect", takes="table", expects=[None, None])
def masked_select(g: Builder, m: Module, x: list[ir.Value]) -> ir.Value:
    """The values where a mask is not zero, as a vector."""
    data, mask = two_tensors(m, x)
    mask = reshape_like(g, m, mask, dims(data))
    chosen = g.cast(mask, ir.DataType.BOOL)
    flat = g.node("Reshape", chosen, np.array([-1], np.int64), shape=(Symbol("elements"),))
    return g.node("Compress", data, flat, shape=(Symbol("selected"),))


@module("OneHot", expects=(Symbol("N"),))
def one_hot(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """For each index, a vector with 1 at that place and 0 elsewhere."""
    size = m.integer("outputSize", minimum=1)
    m.check_element_count(size)
    column = g.unsqueeze(zero_based_indices(g, x, 0), len(dims(x)))
    shape = (*dims(x), size)
    equal = g.node("Equal", column, np.arange(1, size + 1), shape=shape, dtype=ir.DataType.BOOL)
    return g.cast(equal, ir.DataType.FLOAT)


@module("SparseLinear", takes="any", new_output=lambda x: True)
def sparse_linear(g: Builder, m: Module, x: ir.Value | list[ir.Value]) -> ir.Value:
    """A Linear on sparse vectors given as rows (index, value): one sample, or a table or batch of them."""
    if isinstance(x, list):
        return g.concat([g.unsqueeze(sparse_linear_sample(g, m, sample), 0) for sample in x], 0)
    return sparse_linear_sample(g, m, x)


def sparse_linear_sample(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """The sum over the (index, value) pairs of x of the value times that column of the weight, plus bias."""
    weight = matrix_weight(m)
    axis = len(dims(x)) - 1
    if axis not in (1, 2) or dims(x)[axis] != 2:
        raise m.error(FormatError, f"takes rows of (index, value), not {shape_text(dims(x))}")
    places = zero_based_indices(g, g.squeeze(g.slice(x, axis, 0, 1), [axis]))
    columns = g.weight("weight", weight.T)
    return weighted_row_sum(g, m, columns, places, g.slice(x, axis, 1, 2))


def weighted_row_sum(
    g: Builder, m: Module, table: ir.Value, places: ir.Value, amounts: ir.Value,
    groups: ir.Value | None = None,
) -> ir.Value:  # fmt: skip
    """The sum of rows of a table, each times its factor, plus bias.

    places: indices of rows; the sum runs over the last dimension. amounts: the factors, places x 1.
    groups: if given, one sum for each row of this matrix, over the places where the row has a 1.
    """
    outputs = dims(table)[1]
    rows = g.node("Gather", table, places, shape=(*dims(places), outputs), axis=0)
    products = g.binary("Mul", rows, amounts)
    if groups is None:
        axis = len(dims(places)) - 1
        shape = (*dims(places)[:-1], outputs)
        sums = g.node("ReduceSum", products, np.array([axis], np.int64), shape=shape, keepdims=0)
    else:
        sums = g.node("MatMul", groups, products, shape=(dims(groups)[0], outputs))
    bias = m.optional_tensor("bias")
    return sums if bias is None else g.binary("Add", sums, g.weight("bias", bias.reshape(-1)))


def expected_by_index_linear(shapes: Sequence[Shape]) -> Expected:
    """{keys, values}, {{keys, ...}, {values, ...}} or {keys, values, sizes}, by the number of tensors."""
    half = len(shapes) // 2
    if len(shapes) == 3:
        return [None, None, None]
    return [None, None] if half == 1 else [[None] * half, [None] * half]


@module("IndexLinear", takes="table", expects=ShapeDependent(expected_by_index_linear))
def index_linear(g: Builder, m: Module, x: list[ir.Value | list[ir.Value]]) -> ir.Value:
    """A Linear on sparse vectors {keys, values}, or on a batch of them.

    A batch is {{keys, ...}, {values, ...}}, or all keys, all values and how many there are of each sample.
    """
    if len(x) == 3 and all(isinstance(part, ir.Value) for part in x):
        return index_linear_sample(g, m, *x)  # type: ignore[arg-type]
    if len(x) != 2 or isinstance(x[0], list) != isinstance(x[1], list):
        raise m.unsupported("takes {keys, values}, {{keys, ...}, {values, ...}} or {keys, values, sizes}")
    keys, amounts = x
    if not isinstance(keys, list) or not isinstance(amounts, list):
        return index_linear_sample(g, m, keys, amounts)  # type: ignore[arg-type]
    samples = [index_linear_sample(g, m, *pair) for pair in zip(keys, amounts, strict=True)]
    return g.concat([g.unsqueeze(sample, 0) for sample in samples], 0)


def sample_membership(g: Builder, m: Module, sizes: ir.Value, total: Dim) -> ir.Value:
    """A matrix of 1 and 0: which of `total` consecutive entries belong to which sample of these sizes."""
    m.check_element_count(m.static_size(total))
    places = np.arange(m.static_size(total))
    counts = zero_based_indices(g, sizes, 0)
    ends = g.node("CumSum", counts, np.array(0, np.int64))
    starts = g.unsqueeze(g.node("Sub", ends, counts), 1)
    shape = (*dims(sizes), len(places))
    begun = g.node("LessOrEqual", starts, places, shape=shape, dtype=ir.DataType.BOOL)
    left = g.node("Greater", g.unsqueeze(ends, 1), places, shape=shape, dtype=ir.DataType.BOOL)
    return g.cast(g.node("And", begun, left), ir.DataType.FLOAT)


def index_linear_sample(
    g: Builder, m: Module, keys: ir.Value, amounts: ir.Value, sizes: ir.Value | None = None
) -> ir.Value:
    """The sum over the keys of the value times that row of the weight, plus bias.

    sizes: if given, the number of keys of each of several samples, which follow one another.
    With `normalize`, the first columns of the weight are, for each input, the largest value seen, its
    inverse, a counter and a bias: values are scaled by the inverse, limited to [-1, 1], and shifted (THNN's
    IndexLinear).
    """
    weight = matrix_weight(m)
    extra = m.integer("normalize", 0)
    places = zero_based_indices(g, keys, -m.integer("offset", -1))
    if extra:
        limits = g.node(
            "Gather", g.weight("limits", weight[:, :extra]), places, shape=(*dims(keys), extra), axis=0
        )
        largest, inverse, shift = (g.squeeze(g.slice(limits, 1, k, k + 1), [1]) for k in (0, 1, 3))
        above = g.node("Greater", g.node("Abs", amounts), largest, dtype=ir.DataType.BOOL)
        cut = g.node(
            "Where",
            above,
            g.node("Sign", amounts),
            g.binary("Mul", amounts, inverse),
            shape=dims(amounts),
            dtype=amounts.dtype,
        )
        amounts = g.binary("Add", cut, shift)
    table = g.weight("weight", weight[:, extra:])
    groups = None if sizes is None else sample_membership(g, m, sizes, dims(keys)[0])
    return weighted_row_sum(g, m, table, places, g.unsqueeze(amounts, len(dims(amounts))), groups)
