"""Batch normalisation and local normalisation over channels and neighbourhoods."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from converters.from_torch7.backward_shape_inference import Expected, batch_first
from converters.from_torch7.builder import Builder
from converters.from_torch7.conversion import Conversion
from converters.from_torch7.module import Module
from converters.from_torch7.modules.checks import check_channels, check_rank, expected_maps, tensor_value
from converters.from_torch7.registry import module, structure
from converters.from_torch7.tensor_references import NestedTensors, ValueStorage
from converters.graph_bounds import filled
from converters.sizes import dims
from converters.weights import mark_weight


def batch_normalization(g: Builder, m: Module, x: ir.Value, rank: int) -> ir.Value:
    """Normalisation by the running statistics of a batch.

    Class version 1 stored running_std, which is 1 / sqrt(var + eps). With affine = false there is neither
    weight nor bias.
    """
    if len(dims(x)) == rank - 1:  # not contiguous: Torch works on a copy
        x = g.unsqueeze(x, 0)
    check_rank(m, x, rank)
    eps = m.number("eps", 1e-5)
    mean = m.tensor("running_mean")
    check_channels(m, x, 1, mean.size)
    if m.torch_object.version < 2 and m.has("running_std"):
        inverse = m.tensor("running_std", mean.shape).astype(np.float64)
        variance = g.parameter("running_var", (inverse**-2 - eps).astype(np.float32))
    else:
        variance = g.weight("running_var", m.tensor("running_var", mean.shape))
    return g.node(
        "BatchNormalization",
        x,
        _learned(g, m, "weight", 1.0, mean.shape),
        _learned(g, m, "bias", 0.0, mean.shape),
        g.weight("running_mean", mean),
        variance,
        epsilon=eps,
        momentum=_kept_fraction(m),
    )


def _learned(g: Builder, m: Module, name: str, otherwise: float, shape: tuple[int, ...]) -> ir.Value:
    """The scale or bias; where the module learns none, a constant of one value."""
    stored = m.optional_tensor(name, shape)
    value = g.weight(name, filled(shape, otherwise) if stored is None else stored)
    if stored is None:
        mark_weight(value, False)
    return value


def _kept_fraction(m: Module) -> float | None:
    """ONNX's momentum, the share of the old statistics that is kept; None for ONNX's own 0.9."""
    momentum = m.get("momentum")
    return 1 - momentum if isinstance(momentum, float) and 0 < momentum < 1 and momentum != 0.1 else None


def channel_count(m: Module) -> int:
    """The number of channels in the statistics."""
    return m.tensor("running_mean").size


@module(
    "BatchNormalization",
    name="bn",
    may_overwrite=True,
    batches_input=2,
    expects=lambda m: batch_first(channel_count(m)),
)
def batch_normalization_module(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """(x - mean) / sqrt(var + eps) by running statistics, times weight plus bias, for each feature."""
    return batch_normalization(g, m, x, 2)


@module(
    "SpatialBatchNormalization",
    name="bn",
    may_overwrite=True,
    batches_input=4,
    expects=lambda m: batch_first(channel_count(m), None, None),
)
def spatial_batch_normalization(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """A BatchNormalization of each channel of maps."""
    return batch_normalization(g, m, x, 4)


@module(
    "VolumetricBatchNormalization",
    name="bn",
    may_overwrite=True,
    batches_input=5,
    expects=lambda m: batch_first(channel_count(m), None, None, None),
)
def volumetric_batch_normalization(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """A BatchNormalization of each channel of volumes."""
    return batch_normalization(g, m, x, 5)


@module(
    "SpatialCrossMapLRN",
    "inn.SpatialCrossResponseNormalization",
    name="lrn",
    rank=4,
    new_output=lambda x: isinstance(x, ir.Value) and len(dims(x)) == 3,
    expects=batch_first(None, None, None),
)
def spatial_cross_map_lrn(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """x / (k + alpha / size * sum of squares over `size` channels) ^ beta; k is K in old cudnn files."""
    size = m.integer("size", minimum=1)
    if size % 2 == 0:
        raise m.unsupported(f"an even size ({size}) is not defined")
    return g.node(
        "LRN",
        x,
        size=size,
        alpha=m.number("alpha", 1e-4),
        beta=m.number("beta", 0.75),
        bias=m.number("k", m.number("K", 1.0)),
    )


def expected_by_local_normalization(m: Module, infer: object, successor: object) -> Expected:
    """N x nInputPlane x H x W."""
    return expected_maps(m)


@structure("SpatialSubtractiveNormalization", expects=expected_by_local_normalization)
def spatial_subtractive_normalization(conversion: Conversion, m: Module, x: NestedTensors) -> NestedTensors:
    """x minus its local mean; at the borders, the mean of the pixels inside the image."""
    value = tensor_value(m, x)
    means = correct_borders(conversion, m, value, m.child("meanestimator"))
    with conversion.layer(m, "subtract") as layer:
        result = conversion.graph.binary("Sub", value, conversion.graph.reshape(means, dims(value)))
        layer.set_output(value, result)
    return conversion.output_of(m, result)


@structure("SpatialDivisiveNormalization", expects=expected_by_local_normalization)
def spatial_divisive_normalization(conversion: Conversion, m: Module, x: NestedTensors) -> NestedTensors:
    """x divided by its local deviation from zero, or by thresval where that is not above the threshold."""
    value = tensor_value(m, x)
    deviations = correct_borders(conversion, m, value, m.child("stdestimator"))
    bounded = tensor_value(m, conversion.run(m.child("thresholder"), ValueStorage(deviations)))
    with conversion.layer(m, "divide") as layer:
        result = conversion.graph.binary("Div", value, conversion.graph.reshape(bounded, dims(value)))
        layer.set_output(value, result)
    return conversion.output_of(m, result)


@structure("SpatialContrastiveNormalization", expects=expected_by_local_normalization)
def spatial_contrastive_normalization(conversion: Conversion, m: Module, x: NestedTensors) -> NestedTensors:
    """First the subtractive, then the divisive normalisation."""
    return conversion.run(m.child("normalizer"), x)


def correct_borders(conversion: Conversion, m: Module, value: ir.Value, estimator: Module) -> ir.Value:
    """The output of a local estimator, divided by the mean estimator's output for an image of ones.

    The estimators pad with zeros, which makes them too small at the borders by exactly this factor.
    """
    shape = [m.static_size(size) for size in dims(value)[-3:]]
    batch = [1] * (len(dims(value)) - 3)
    with conversion.layer(m, "ones"):
        ones = conversion.graph.full([*batch, *shape], 1.0)
    weights = tensor_value(m, conversion.run(m.child("meanestimator"), ValueStorage(ones)))
    sums = tensor_value(m, conversion.run(estimator, ValueStorage(value)))
    with conversion.layer(m, "corrected") as layer:
        result = conversion.graph.binary("Div", sums, weights)
        layer.set_output(sums, result)
    return result
