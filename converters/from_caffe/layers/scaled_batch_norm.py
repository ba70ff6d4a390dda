"""BatchNorm layers with their own scale and bias: five blobs, or four without a bias.

Two forks write them. NVIDIA's definition states it (scale_bias, or a filler of one of the two). NVIDIA's fork
uses the statistics as they are stored, and an eps of at least 1e-5. Its version 0.15 and DIGITS store another
order (scale, bias, mean, variance, counter), recognised by the single value at the end, and take eps as it
is. An early version of Intel's fork has this order too. Intel's definition may state nothing: its layer has a
scale and a bias unless use_weight_bias or bias_term is false, and divides the statistics by the third blob,
as BVLC's does. Where the definition is NVIDIA's and the third blob is a factor, somebody joined a BatchNorm
and a Scale of BVLC's, for which NVIDIA's fork would compute something else.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from converters.from_caffe.bound_layer import BoundLayer
from converters.from_caffe.layers.parameters import stored_shapes, vector_parameter
from converters.graph import Graph
from converters.sizes import dims

_NVIDIA_LEAST_EPS = 1e-5
_SINGLE_VALUES = frozenset({"reserved", "factor", "correction factor"})


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
    s = _statistics(layer, channels)
    return g.node(
        "BatchNormalization",
        x,
        g.parameter("scale", s.scale),
        g.parameter("bias", s.bias),
        g.parameter("running_mean", s.mean),
        g.parameter("running_var", s.variance),
        epsilon=s.eps,
        momentum=layer.param.moving_average_fraction,
    )


def _statistics(layer: BoundLayer, channels: int) -> Statistics:
    if _is_legacy(layer):
        return _legacy_statistics(layer, channels)
    return _nvidia_statistics(layer, channels) if _is_nvidia(layer) else _intel_statistics(layer, channels)


def _is_nvidia(layer: BoundLayer) -> bool:
    p = layer.param
    if p.HasField("filler") or p.HasField("use_weight_bias"):
        return False
    return bool(p.scale_bias or p.HasField("scale_filler") or p.HasField("bias_filler"))


def _nvidia_statistics(layer: BoundLayer, channels: int) -> Statistics:
    p = layer.param
    mean, variance, reserved, scale, bias = _blobs(
        layer, channels, ("mean", "variance", "reserved", "scale", "bias")
    )
    if reserved[0] not in (0, 1):
        raise layer.unsupported(
            f"its third blob is {reserved[0]:g}: BVLC's factor to divide the statistics by, while "
            "NVIDIA's fork stores 1 or 0 and never reads it; divide mean and variance by it and store 1"
        )
    return Statistics(mean, variance, scale, bias, max(p.eps, _NVIDIA_LEAST_EPS))


def _is_legacy(layer: BoundLayer) -> bool:
    sizes = [math.prod(shape) for shape in stored_shapes(layer)]
    if sizes == [1] * 5:
        raise layer.unsupported("its five blobs of one value do not tell the order in which they are stored")
    return len(sizes) == 5 and sizes[4] == 1


def _legacy_statistics(layer: BoundLayer, channels: int) -> Statistics:
    """NVIDIA's 0.15 or an early version of Intel's fork, which differ only where the last blob is not 1."""
    scale, bias, mean, variance, last = _blobs(
        layer, channels, ("scale", "bias", "mean", "variance", "correction factor")
    )
    if last[0] != 1 and not _is_nvidia(layer):
        raise layer.unsupported(
            f"its five blobs end with the correction factor {last[0]:g}, by which Intel's fork divides the "
            "statistics and which NVIDIA's fork does not read; add scale_bias: true to its batch_norm_param "
            "if NVIDIA's DIGITS wrote the file"
        )
    return Statistics(mean, variance, scale, bias, layer.param.eps)


def _intel_statistics(layer: BoundLayer, channels: int) -> Statistics:
    p = layer.param
    names = ["mean", "variance", "factor", "scale", *(["bias"] if p.bias_term else [])]
    mean, variance, factor, scale, *rest = _blobs(layer, channels, names, scale_filler="filler")
    by = np.float32(0) if factor[0] == 0 else np.float32(1) / factor[0]
    bias = rest[0] if rest else np.zeros(channels, np.float32)
    return Statistics(mean * by, variance * by, scale, bias, p.eps)


def _blobs(
    layer: BoundLayer, channels: int, names: Sequence[str], scale_filler: str = "scale_filler"
) -> list[np.ndarray]:
    """The blobs of these names as vectors. One that is missing is filled only by a declared filler."""
    p, declared = layer.param, {"scale": scale_filler, "bias": "bias_filler"}
    wanted = []
    for index, name in enumerate(names):
        field = declared.get(name)
        filler = getattr(p, field) if field is not None and p.HasField(field) else None
        size = 1 if name in _SINGLE_VALUES else channels
        wanted.append(vector_parameter(layer, index, name, size, filler))
    return [values.reshape(-1) for values in layer.parameters(*wanted)]
