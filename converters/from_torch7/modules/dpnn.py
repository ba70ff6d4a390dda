"""Classes of dpnn that train by chance: in evaluation most of them pass their input on."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from converters.from_torch7.backward_shape_inference import ANY, Expected, batch_first
from converters.from_torch7.builder import Builder
from converters.from_torch7.module import Module
from converters.from_torch7.modules.checks import check_rank, expected_maps, first_two_tensors
from converters.from_torch7.modules.convolution import convolve_by_module
from converters.from_torch7.modules.linear import affine, matrix_weight
from converters.from_torch7.modules.table import elementwise
from converters.from_torch7.objects import Tensor
from converters.from_torch7.registry import module, view
from converters.sizes import Symbol


@module("TotalDropout", "SpatialRegionDropout", "SimpleColorTransform", "PCAColorTransform", expects=ANY)
def copy_in_evaluation(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """A copy of the input in evaluation; random in training (dpnn)."""
    return x


@view("CategoricalEntropy", write_through=lambda g, m, base, new: new, expects=ANY)
def categorical_entropy(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """The input itself; a regulariser of training (dpnn)."""
    check_rank(m, x, 2)
    return x


def check_deterministic(m: Module) -> None:
    """UnsupportedError for a module that draws samples in evaluation too."""
    if m.flag("stochastic"):
        raise m.unsupported("it draws random samples in evaluation too (field 'stochastic')")


@module("ReinforceCategorical", "ReinforceBernoulli", expects=ANY)
def reinforce_probabilities(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """A copy of the probabilities, from which samples are drawn in training only (dpnn)."""
    check_deterministic(m)
    return x


@module("ReinforceNormal", name="mean", takes="any", expects=ANY)
def reinforce_normal(g: Builder, m: Module, x: ir.Value | list[ir.Value]) -> ir.Value:
    """A copy of the mean, or of the first of {mean, deviation}; samples are drawn in training only (dpnn)."""
    check_deterministic(m)
    return first_two_tensors(m, x)[0] if isinstance(x, list) else x


@module("ReinforceGamma", name="mean", takes="any", expects=ANY)
def reinforce_gamma(g: Builder, m: Module, x: ir.Value | list[ir.Value]) -> ir.Value:
    """shape * scale, from {shape, scale} or the field `scale`; samples are drawn in training only (dpnn)."""
    check_deterministic(m)
    if isinstance(x, list):
        return elementwise(g, m, "Mul", first_two_tensors(m, x))
    if isinstance(m.get("scale"), Tensor):
        return g.binary("Mul", x, g.weight("scale", m.tensor("scale")))
    return g.binary("Mul", x, m.number("scale"))


def expected_by_noise_contrast(m: Module) -> Expected:
    """{N x inputs, N targets}."""
    return [batch_first(matrix_weight(m).shape[1]), (Symbol("N"),)]


@module("NCEModule", name="softmax", takes="table", expects=expected_by_noise_contrast)
def noise_contrast(g: Builder, m: Module, x: list[ir.Value]) -> ir.Value:
    """{input, target} -> the (log-)softmax of a Linear of the input, if the module is `normalized` (dpnn)."""
    if not m.flag("normalized"):
        raise m.unsupported("it compares with random samples in evaluation too, unless 'normalized' is set")
    rows, _ = first_two_tensors(m, x)
    check_rank(m, rows, 2)
    weight = matrix_weight(m)
    bias = m.optional_tensor("bias", weight.shape[:1])
    scores = affine(g, m, rows, g.weight("weight", weight), None if bias is None else g.weight("bias", bias))
    return g.node("LogSoftmax" if m.flag("logsoftmax") else "Softmax", scores, axis=1)


@module("SpatialBinaryConvolution", name="conv", rank=4, expects=expected_maps)
def spatial_binary_convolution(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """A SpatialConvolution by the signs of the weight (1 for 0), times the mean |w| of each filter (dpnn)."""
    weight = m.tensor("weight")
    rows = weight.reshape(len(weight), -1).astype(np.float32)
    sizes = np.abs(rows).mean(axis=1, keepdims=True, dtype=np.float64).astype(np.float32)
    m = m.with_tensor("weight", np.where(rows >= 0, sizes, -sizes))
    if m.flag("bias"):
        m = m.with_tensor("bias", m.tensor("bias", (len(weight),)) * sizes[:, 0])
    return convolve_by_module(g, m, x, "HW")
