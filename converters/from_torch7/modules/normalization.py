"""Batch normalisation and local response normalisation."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from converters.errors import FormatError
from converters.from_torch7.builder import Builder
from converters.from_torch7.module import Module
from converters.from_torch7.modules.convolution import check_channels
from converters.from_torch7.registry import batch_first, module
from converters.graph import dims, shape_text


def batch_normalization(g: Builder, m: Module, x: ir.Value, rank: int) -> ir.Value:
    """Normalisation by the running statistics; a single sample gets a batch dimension and keeps it.

    Class version 1 stored running_std, which is 1 / sqrt(var + eps). Without affine there is neither weight
    nor bias.
    """
    if len(dims(x)) == rank - 1:
        x = g.unsqueeze(x, 0)
    if len(dims(x)) != rank:
        raise m.error(FormatError, f"takes {rank}-D input, not {shape_text(dims(x))}")
    eps = m.number("eps", 1e-5)
    mean = m.tensor("running_mean")
    channels = mean.size
    check_channels(m, x, 1, channels)
    if m.has("running_var"):
        variance = g.weight("running_var", m.tensor("running_var", mean.shape))
    else:
        inverse = m.tensor("running_std", mean.shape).astype(np.float64)
        variance = g.parameter("running_var", (inverse**-2 - eps).astype(np.float32))
    weight, bias = m.optional_tensor("weight", mean.shape), m.optional_tensor("bias", mean.shape)
    return g.node(
        "BatchNormalization",
        x,
        g.parameter("weight", np.ones(channels, np.float32))
        if weight is None
        else g.weight("weight", weight),
        g.parameter("bias", np.zeros(channels, np.float32)) if bias is None else g.weight("bias", bias),
        g.weight("running_mean", mean),
        variance,
        epsilon=eps,
    )


@module(
    "SpatialBatchNormalization",
    name="bn",
    expects=lambda m: batch_first(m.tensor("running_mean").size, None, None),
)
def spatial_batch_normalization(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """Per channel of a map."""
    return batch_normalization(g, m, x, 4)


@module("SpatialCrossMapLRN", name="lrn", rank=4, expects=lambda m: batch_first(None, None, None))
def spatial_cross_map_lrn(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """x / (k + alpha / size * sum of squares over `size` channels) ^ beta."""
    size = m.integer("size", least=1)
    if size % 2 == 0:
        raise m.unsupported(f"an even size ({size}) is not defined")
    return g.node(
        "LRN",
        x,
        size=size,
        alpha=m.number("alpha", 1e-4),
        beta=m.number("beta", 0.75),
        bias=m.number("k", 1.0),
    )
