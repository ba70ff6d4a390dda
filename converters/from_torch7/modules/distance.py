"""Distances, similarities and normalisation of vectors."""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir

from converters.errors import FormatError
from converters.from_torch7.backward_shape_inference import Expected, batch_first
from converters.from_torch7.builder import Builder
from converters.from_torch7.module import Module
from converters.from_torch7.modules.checks import check_channels, check_rank, first_two_tensors
from converters.from_torch7.modules.linear import affine, as_rows, expected_features, matrix_weight
from converters.from_torch7.modules.reduction import reduce
from converters.from_torch7.modules.table import reshape_like
from converters.from_torch7.registry import module
from converters.sizes import dims, shape_text


@module("Cosine", expects=expected_features)
def cosine(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """w_j . x / (|w_j| |x|) for each row w_j of the weight; 1e-12 is added to both lengths."""
    weight = matrix_weight(m)
    lengths = np.sqrt((weight.astype(np.float64) ** 2).sum(axis=1)) + 1e-12
    scaled = g.parameter("weight", (weight / lengths[:, None]).astype(np.float32))
    norm = g.binary("Add", euclidean_length(g, x), 1e-12)
    return g.binary("Div", affine(g, m, x, scaled, None), norm)


def euclidean_length(g: Builder, x: ir.Value) -> ir.Value:
    """The Euclidean length along the last dimension, which becomes 1."""
    return g.node("Sqrt", reduce(g, "ReduceSum", g.binary("Mul", x, x), len(dims(x)) - 1, keep=True))


def expected_templates(m: Module) -> Expected:
    """N x inputs, for a weight of inputs x outputs."""
    return batch_first(matrix_weight(m).shape[0])


@module("Euclidean", expects=expected_templates)
def euclidean(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """|w_j - x| for each column of the weight."""
    return distances(g, m, x, None)


@module("WeightedEuclidean", name="euclidean", expects=expected_templates)
def weighted_euclidean(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """|c_j * (w_j - x)| for each column of the weight and of diagCov."""
    return distances(g, m, x, m.tensor("diagCov", matrix_weight(m).shape))


def distances(g: Builder, m: Module, x: ir.Value, factors: np.ndarray | None) -> ir.Value:
    """The length of (x - w) * factors for each column w of the weight; x is a vector or rows of a matrix."""
    weight = matrix_weight(m)
    check_channels(m, x, len(dims(x)) - 1, weight.shape[0])
    check_rank(m, x, 1, 2)
    difference = g.binary("Sub", g.unsqueeze(x, len(dims(x))), g.weight("weight", weight))
    if factors is not None:
        difference = g.binary("Mul", difference, g.weight("diagCov", factors))
    squares = g.binary("Mul", difference, difference)
    return g.node(
        "Sqrt", reduce(g, "ReduceSum", squares, len(dims(x)) - 1), shape=(*dims(x)[:-1], weight.shape[1])
    )


@module("Kmeans", expects=expected_features)
def kmeans(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """The index (from 1, as a float) of the centre nearest to each row."""
    weight = matrix_weight(m)
    check_channels(m, x, len(dims(x)) - 1, weight.shape[1])
    difference = g.binary("Sub", g.unsqueeze(x, 1), g.weight("weight", weight))
    squares = reduce(g, "ReduceSum", g.binary("Mul", difference, difference), 2)
    nearest = g.node("ArgMin", squares, shape=dims(x)[:1], dtype=ir.DataType.INT64, axis=1, keepdims=0)
    return g.binary("Add", g.cast(nearest, ir.DataType.FLOAT), 1.0)


def as_matrices(g: Builder, m: Module, x: list[ir.Value]) -> tuple[ir.Value, ir.Value]:
    """The first two tensors as matrices: the first is a vector or matrix, the second takes its shape."""
    a, b = first_two_tensors(m, x)
    if len(dims(a)) not in (1, 2):
        raise m.error(FormatError, f"takes two vectors or matrices, not {shape_text(dims(a))}")
    return as_rows(g, a), as_rows(g, reshape_like(g, m, b, dims(a)))


def dot_of_rows(g: Builder, a: ir.Value, b: ir.Value) -> ir.Value:
    """The dot product of each row of a with that of b."""
    return reduce(g, "ReduceSum", g.binary("Mul", a, b), 1)


@module("DotProduct", name="dot", takes="table", expects=[None, None])
def dot_product(g: Builder, m: Module, x: list[ir.Value]) -> ir.Value:
    """a . b of each pair of rows."""
    return dot_of_rows(g, *as_matrices(g, m, x))


@module("CosineDistance", takes="table", expects=[None, None])
def cosine_distance(g: Builder, m: Module, x: list[ir.Value]) -> ir.Value:
    """a . b / (|a| |b|) of each pair of rows, 1e-12 added to both squared lengths."""
    a, b = as_matrices(g, m, x)
    lengths = [g.node("Sqrt", g.binary("Add", dot_of_rows(g, v, v), 1e-12)) for v in (a, b)]
    return g.binary("Div", g.binary("Div", dot_of_rows(g, a, b), lengths[0]), lengths[1])


@module("PairwiseDistance", takes="table", expects=[None, None])
def pairwise_distance(g: Builder, m: Module, x: list[ir.Value]) -> ir.Value:
    """The p-norm (field `norm`) of the difference of each pair of rows."""
    a, b = as_matrices(g, m, x)
    return norm(g, g.binary("Sub", a, b), m.positive("norm", 2), 0)


def norm(g: Builder, x: ir.Value, p: float, eps: float) -> ir.Value:
    """(sum |x|^p + eps) ^ (1/p) of each row; for infinite p the largest |x|, plus eps."""
    if math.isinf(p):
        return add_epsilon(g, reduce(g, "ReduceMax", g.node("Abs", x), 1), eps)
    if p == 1:
        return add_epsilon(g, reduce(g, "ReduceSum", g.node("Abs", x), 1), eps)
    if p == 2:
        return g.node("Sqrt", add_epsilon(g, dot_of_rows(g, x, x), eps))
    powers = g.binary("Pow", g.node("Abs", x), p)
    return g.binary("Pow", add_epsilon(g, reduce(g, "ReduceSum", powers, 1), eps), 1 / p)


def add_epsilon(g: Builder, x: ir.Value, eps: float) -> ir.Value:
    """x + eps."""
    return g.binary("Add", x, eps) if eps else x


@module("Normalize", may_overwrite=True)
def normalize(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """Each vector divided by its p-norm."""
    check_rank(m, x, 1, 2)
    rows = as_rows(g, x)
    lengths = g.unsqueeze(norm(g, rows, m.positive("p"), m.number("eps", 1e-10)), 1)
    return g.reshape(g.binary("Div", rows, lengths), dims(x))
