"""BatchNorm layers with their own scale and bias: five blobs, or four without a bias.

Two forks write them. NVIDIA's definition states it (scale_bias, or a filler of one of the two). NVIDIA's fork
uses the statistics as they are stored, and an eps of at least 1e-5. A file in the order of its legacy DIGITS
format (scale, bias, mean, variance, reserved) is recognised by the single value at the end. Intel's
definition may state nothing: its layer has a scale and a bias unless use_weight_bias or bias_term is false,
and divides the statistics by the third blob, as BVLC's does. Where the definition is NVIDIA's and the third
blob is a factor, somebody joined a BatchNorm and a Scale of BVLC's, for which NVIDIA's fork would compute
something else.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from converters.from_caffe.bound_layer import BoundLayer
from converters.from_caffe.fillers import constant_filler, declared_filler
from converters.from_caffe.layers.parameters import stored_shapes, vector_parameter
from converters.graph import Graph, dims

_NVIDIA_LEAST_EPS = 1e-5


@dataclass(frozen=True)
class Statistics:
    """The statistics that normalise the channels, and the scale and bias that follow; each of (channels,)."""

    mean: np.ndarray
    variance: np.ndarray
    scale: np.ndarray
    bias: np.ndarray
    eps: float


def is_scaled(layer: BoundLayer) -> bool:
    """Whether this BatchNorm has its own scale and bias, by its definition or its stored blobs."""
    return _is_nvidia(layer) or len(stored_shapes(layer)) > 3


def scaled_batch_norm(g: Graph, layer: BoundLayer, x: ir.Value) -> ir.Value:
    """Scale * (x - mean) / sqrt(variance + eps) + bias, by stored statistics."""
    channels = layer.static(dims(x)[1], "the number of channels")
    if layer.param.HasField("use_global_stats") and not layer.param.use_global_stats:
        raise layer.unsupported(
            "with its own scale and use_global_stats false, its forks compute different things"
        )
    s = _nvidia_statistics(layer, channels) if _is_nvidia(layer) else _intel_statistics(layer, channels)
    return g.node(
        "BatchNormalization",
        x,
        g.parameter("scale", s.scale),
        g.parameter("bias", s.bias),
        g.parameter("running_mean", s.mean),
        g.parameter("running_var", s.variance),
        epsilon=s.eps,
    )


def _is_nvidia(layer: BoundLayer) -> bool:
    p = layer.param
    if p.HasField("filler") or p.HasField("use_weight_bias"):
        return False
    return bool(p.scale_bias or p.HasField("scale_filler") or p.HasField("bias_filler"))


def _nvidia_statistics(layer: BoundLayer, channels: int) -> Statistics:
    p = layer.param
    fillers = {
        "scale": declared_filler(p, "scale_filler") or constant_filler(1),
        "bias": declared_filler(p, "bias_filler") or constant_filler(0),
    }
    order = ["mean", "variance", "reserved", "scale", "bias"]
    if _is_legacy(layer):
        order = ["scale", "bias", "mean", "variance", "reserved"]
    wanted = [
        vector_parameter(layer, index, name, 1 if name == "reserved" else channels, fillers.get(name))
        for index, name in enumerate(order)
    ]
    found = {name: values.reshape(-1) for name, values in zip(order, layer.parameters(*wanted), strict=True)}
    if not _is_legacy(layer) and found["reserved"][0] not in (0, 1):
        raise layer.unsupported(
            f"its third blob is {found['reserved'][0]:g}: BVLC's factor to divide the statistics by, while "
            "NVIDIA's fork stores 1 or 0 and never reads it; divide mean and variance by it and store 1"
        )
    eps = max(p.eps, _NVIDIA_LEAST_EPS)
    return Statistics(found["mean"], found["variance"], found["scale"], found["bias"], eps)


def _is_legacy(layer: BoundLayer) -> bool:
    sizes = [math.prod(shape) for shape in stored_shapes(layer)]
    if sizes == [1] * 5:
        raise layer.unsupported("its five blobs of one value do not tell the order in which they are stored")
    return len(sizes) == 5 and sizes[4] == 1


def _intel_statistics(layer: BoundLayer, channels: int) -> Statistics:
    p = layer.param
    if _is_legacy(layer):
        raise layer.unsupported(
            "its five blobs end with the correction factor, an order that NVIDIA's and Intel's fork read "
            "differently; add scale_bias: true to its batch_norm_param if NVIDIA's DIGITS wrote the file"
        )
    wanted = [
        vector_parameter(layer, 0, "mean", channels),
        vector_parameter(layer, 1, "variance", channels),
        vector_parameter(layer, 2, "factor", 1),
        vector_parameter(layer, 3, "scale", channels, declared_filler(p, "filler") or constant_filler(1)),
    ]
    if p.bias_term:
        wanted.append(
            vector_parameter(
                layer, 4, "bias", channels, declared_filler(p, "bias_filler") or constant_filler(0)
            )
        )
    mean, variance, factor, scale, *rest = (values.reshape(-1) for values in layer.parameters(*wanted))
    by = np.float32(0) if factor[0] == 0 else np.float32(1) / factor[0]
    bias = rest[0] if rest else np.zeros(channels, np.float32)
    return Statistics(mean * by, variance * by, scale, bias, p.eps)
