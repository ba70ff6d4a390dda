"""Layers of Caffe's forks that normalise: SSD's Normalize, FlowNet's ChannelNorm, and two named BN."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from converters.from_caffe.bound_layer import BoundLayer
from converters.from_caffe.fillers import constant_filler, declared_filler
from converters.from_caffe.layers.checks import check_rank, image_axes
from converters.from_caffe.layers.parameters import stored_shapes, vector_parameter
from converters.from_caffe.layers.registry import layer
from converters.graph import Graph, dims, scalar

# SegNet's BN adds this to the variance.
_SEGNET_EPS = 1e-9
_INFERENCE = 1


@layer("Normalize", param="norm_param", fork_field_numbers=(134, 149, 204, 206))
def normalize(g: Graph, layer: BoundLayer, x: ir.Value) -> ir.Value:
    """x / sqrt(sum(x^2) + eps) times a learned scale (SSD).

    The sum runs over the channels of each pixel, or with across_spatial over the whole image; the scale is
    one per channel, or with channel_shared one for all.
    """
    message = layer.message
    p = message.normalize_param if message.HasField("normalize_param") else layer.param
    shape = dims(x)
    check_rank(layer, x, 2, 4)
    channels = 1 if p.channel_shared else layer.static(shape[1], "the number of channels")
    filler = p.scale_filler if p.HasField("scale_filler") else constant_filler(1)
    (scale,) = layer.parameters(vector_parameter(layer, 0, "scale", channels, filler))
    axes = np.arange(1, len(shape) if p.across_spatial else 2, dtype=np.int64)
    reduced = tuple(1 if axis in axes else size for axis, size in enumerate(shape))
    squares = g.node("ReduceSumSquare", x, axes, shape=reduced)
    norm = g.node("Sqrt", g.node("Add", squares, scalar(p.eps)))
    aligned = scale.reshape((channels,) + (1,) * (len(shape) - 2))
    return g.node("Mul", g.node("Div", x, norm), g.parameter("scale", aligned))


@layer("ChannelNorm", in_place=False)
def channel_norm(g: Graph, layer: BoundLayer, x: ir.Value) -> ir.Value:
    """The Euclidean length of each pixel's channels (FlowNet 2)."""
    n, _, height, width = image_axes(layer, x)
    return g.node("ReduceL2", x, np.array([1], np.int64), shape=(n, 1, height, width))


@layer("BN", param="bn_param", fork_field_numbers=(45, 137, 152, 200), tops=(1, 3))
def bn(g: Graph, layer: BoundLayer, x: ir.Value) -> list[ir.Value]:
    """SegNet's BN, by the statistics of the batch or none, or PSPNet's, by stored ones.

    Their stored blobs differ. SegNet, ENet: scale and shift (2 blobs). With bn_mode LEARN, the default, x is
    first normalised by the statistics of the batch, which are the second and third top.
    PSPNet, TSN: slope, bias, running mean and running variance (4 blobs).
    """
    check_rank(layer, x, 2, 4)
    return _segnet_bn(g, layer, x) if _is_segnet(layer) else [running_bn(g, layer, x)]


def _is_segnet(layer: BoundLayer) -> bool:
    p = layer.param
    if p.HasField("bn_mode"):
        return True
    if stored := len(stored_shapes(layer)):
        return stored == 2
    return bool(p.HasField("scale_filler") or p.HasField("shift_filler"))


@layer("SyncBN", param="bn_param", fork_field_numbers=(45, 137, 152, 200))
def running_bn(g: Graph, layer: BoundLayer, x: ir.Value) -> ir.Value:
    """(x - mean) / sqrt(variance + eps) * slope + bias, by stored statistics (PSPNet, TSN)."""
    p = layer.param
    layer.check(layer.top_count == 1, "only SegNet's BN has further tops")
    channels = layer.static(dims(x)[1], "the number of channels")
    slope, bias, mean, variance = layer.parameters(
        vector_parameter(
            layer,
            0,
            "slope",
            channels,
            declared_filler(p, "slope_filler") or declared_filler(p, "scale_filler"),
        ),
        vector_parameter(
            layer,
            1,
            "bias",
            channels,
            declared_filler(p, "bias_filler") or declared_filler(p, "shift_filler"),
        ),
        vector_parameter(layer, 2, "mean", channels),
        vector_parameter(layer, 3, "variance", channels),
    )
    return g.node(
        "BatchNormalization",
        x,
        g.parameter("slope", slope.reshape(channels)),
        g.parameter("bias", bias.reshape(channels)),
        g.parameter("running_mean", mean.reshape(channels)),
        g.parameter("running_var", variance.reshape(channels)),
        epsilon=p.eps,
    )


def _segnet_bn(g: Graph, layer: BoundLayer, x: ir.Value) -> list[ir.Value]:
    p, shape = layer.param, dims(x)
    channels = layer.static(shape[1], "the number of channels")
    wanted = [
        vector_parameter(layer, 0, "scale", channels, declared_filler(p, "scale_filler")),
        vector_parameter(layer, 1, "shift", channels, declared_filler(p, "shift_filler")),
    ]
    per_channel = (channels,) + (1,) * (len(shape) - 2)
    scale, shift = (
        g.parameter(w.name, values.reshape(per_channel))
        for w, values in zip(wanted, layer.parameters(*wanted), strict=True)
    )
    statistics: list[ir.Value] = []
    if p.bn_mode != _INFERENCE:
        axes = np.array([0, *range(2, len(shape))], np.int64)
        of_batch = (1, channels, *(1,) * (len(shape) - 2))
        mean = g.node("ReduceMean", x, axes, shape=of_batch)
        x = g.node("Sub", x, mean)
        variance = g.node("ReduceMean", g.node("Mul", x, x), axes, shape=of_batch)
        x = g.node("Div", x, g.node("Sqrt", g.node("Add", variance, scalar(_SEGNET_EPS))))
        shown = (mean, variance)[: layer.top_count - 1]
        statistics = [g.reshape(value, (1, channels, 1, 1)) for value in shown]
    elif layer.top_count > 1:
        raise layer.unsupported("its further tops are undefined with bn_mode INFERENCE")
    y = g.node("Add", g.node("Mul", x, scale), shift)
    return [y, *statistics]
