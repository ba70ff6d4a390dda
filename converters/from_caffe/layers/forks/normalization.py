"""Layers of Caffe's forks that normalise: SSD's Normalize, FlowNet's ChannelNorm, and two named BN."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from converters.from_caffe import schema
from converters.from_caffe.bound_layer import BoundLayer
from converters.from_caffe.fillers import constant_filler
from converters.from_caffe.layers.checks import check_rank, image_axes
from converters.from_caffe.layers.parameters import (
    has_other_weights,
    parameter_fields,
    stored_shapes,
    vector_parameter,
)
from converters.from_caffe.layers.registry import layer
from converters.graph import Graph, scalar
from converters.sizes import dims

# SegNet's BN adds this to the variance.
_SEGNET_EPS = 1e-9
_INFERENCE = 1
# happynear's Normalize adds this to the sum, and its fork stores the parameters at this number.
_HAPPYNEAR_EPS = 1e-6
_HAPPYNEAR_NORMALIZE = 214
# The forks of BN that use stored statistics number their parameters alike, at different numbers: yjxiong's
# (TSN), PSPNet's and happynear's.
_YJXIONG_BN, _PSPNET_BN, _HAPPYNEAR_BN = 137, 152, 200
_RUNNING_BN_FIELDS = {
    1: ("slope_filler",),
    2: ("bias_filler",),
    3: ("momentum",),
    4: ("eps",),
    5: ("frozen",),
    6: ("engine",),
}
_BN_FIELDS = dict.fromkeys((_YJXIONG_BN, _PSPNET_BN, _HAPPYNEAR_BN), _RUNNING_BN_FIELDS)


@layer(
    "Normalize",
    param="norm_param",
    fork_field_numbers=(134, 149, 204, 206, 214),
    fork_message_fields={214: {1: ("normalize_type",), 2: ("fix_gradient",), 3: ("bp_norm",)}},
    tops=(1, 2),
)
def normalize(g: Graph, layer: BoundLayer, x: ir.Value) -> list[ir.Value]:
    """x / sqrt(sum(x^2) + eps) times a learned scale (SSD); or each pixel by its length (happynear).

    SSD: the sum runs over the channels of each pixel, or with across_spatial over the whole image; the scale
    is one per channel, or with channel_shared one for all. happynear's layer has no scale, an eps of 1e-6,
    tops of 4 axes, and the lengths (N, 1, H, W) as a second top.
    """
    check_rank(layer, x, 2, 4)
    return _unit_pixels(g, layer, x) if _is_happynears(layer, x) else [_scaled_unit(g, layer, x)]


def _normalize_param(layer: BoundLayer) -> schema.Message:
    """The parameters: happynear's fork, and old copies of SSD's layer, name their field normalize_param."""
    message = layer.message
    return message.normalize_param if message.HasField("normalize_param") else layer.param


def _is_happynears(layer: BoundLayer, x: ir.Value) -> bool:
    """Whether this is happynear's Normalize, or one that computes the same on this bottom.

    SSD's layer always stores a scale. If a file holds blobs of other layers and none of this one, the layer
    is happynear's or yjxiong's, who divides each item by its length. On one pixel these agree.
    """
    p = _normalize_param(layer)
    ours = any(p.HasField(name) for name in ("normalize_type", "fix_gradient", "bp_norm"))
    ssds = any(
        p.HasField(name) for name in ("across_spatial", "scale_filler", "channel_shared", "eps", "fix_scale")
    )
    # A `param` is about a blob, and only SSD's layer has one.
    if stored_shapes(layer) or ssds or len(layer.message.param):
        layer.check(not ours, "its normalize_param mixes the fields of SSD's layer and happynear's")
        return False
    if ours or layer.top_count > 1 or _HAPPYNEAR_NORMALIZE in parameter_fields(layer):
        return True
    one_pixel = all(size == 1 for size in dims(x)[2:])
    if not has_other_weights(layer):
        if not one_pixel:
            layer.note(
                "nothing tells which fork's it is; each item is divided by its length, as in SSD's and "
                "yjxiong's, while happynear's divides each pixel"
            )
        return False
    if one_pixel:
        return True
    raise layer.unsupported(
        "the weights file holds no scale for it, so it is not SSD's. happynear's fork divides each pixel by "
        'its length: write normalize_param { normalize_type: "L2" }. yjxiong\'s divides each item by its '
        "length: write norm_param { across_spatial: true scale_filler { value: 1 } }"
    )


def _unit_pixels(g: Graph, layer: BoundLayer, x: ir.Value) -> list[ir.Value]:
    kind = _normalize_param(layer).normalize_type
    layer.check(kind in ("L2", "L1"), f"normalize_type must be L2 or L1, it is {kind!r}")
    shape = (*dims(x), *(1,) * (4 - len(dims(x))))
    x = g.reshape(x, shape)
    operator = "ReduceSumSquare" if kind == "L2" else "ReduceL1"
    total = g.node(operator, x, np.array([1], np.int64), shape=(shape[0], 1, *shape[2:]))
    length = g.node("Add", total, scalar(_HAPPYNEAR_EPS))
    if kind == "L2":
        length = g.node("Sqrt", length)
    return [g.node("Div", x, length), length][: layer.top_count]


def _scaled_unit(g: Graph, layer: BoundLayer, x: ir.Value) -> ir.Value:
    p, shape = _normalize_param(layer), dims(x)
    layer.check(layer.top_count == 1, "only happynear's Normalize has a second top")
    channels = 1 if p.channel_shared else layer.static(shape[1], "the number of channels")
    filler = p.scale_filler if p.HasField("scale_filler") else None
    if filler is None and not has_other_weights(layer):
        filler = constant_filler(1)
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


@layer(
    "BN",
    param="bn_param",
    fork_field_numbers=(45, _YJXIONG_BN, _PSPNET_BN, _HAPPYNEAR_BN),
    fork_message_fields=_BN_FIELDS,
    tops=(1, 3),
)
def bn(g: Graph, layer: BoundLayer, x: ir.Value) -> list[ir.Value]:
    """SegNet's BN, by the statistics of the batch or none, or PSPNet's, by stored ones.

    Their stored blobs differ. SegNet, ENet: scale and shift (2 blobs). With bn_mode LEARN, the default, x is
    first normalised by the statistics of the batch, which are the second and third top.
    PSPNet, TSN: slope, bias, running mean and running variance (4 blobs).
    happynear: 1 / deviation instead of the variance.
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


@layer(
    "SyncBN",
    param="bn_param",
    fork_field_numbers=(45, _YJXIONG_BN, _PSPNET_BN, _HAPPYNEAR_BN),
    fork_message_fields=_BN_FIELDS,
)
def running_bn(g: Graph, layer: BoundLayer, x: ir.Value) -> ir.Value:
    """(x - mean) / sqrt(variance + eps) * slope + bias, by stored statistics (PSPNet, TSN)."""
    p = layer.param
    layer.check(layer.top_count == 1, "only SegNet's BN has further tops")
    channels = layer.static(dims(x)[1], "the number of channels")
    inverse = _stores_inverse_deviation(layer)
    wanted = [
        vector_parameter(layer, 0, "slope", channels, _first_filler(p, "slope_filler", "scale_filler")),
        vector_parameter(layer, 1, "bias", channels, _first_filler(p, "bias_filler", "shift_filler")),
        vector_parameter(layer, 2, "mean", channels),
        vector_parameter(layer, 3, "inverse deviation" if inverse else "variance", channels),
    ]
    slope, bias, mean, spread = (values.reshape(channels) for values in layer.parameters(*wanted))
    if inverse:  # the deviation is exact as a factor of the slope; eps is in it already
        slope, spread = slope * spread, np.ones(channels, np.float32)
    return g.node(
        "BatchNormalization",
        x,
        g.parameter("slope", slope),
        g.parameter("bias", bias),
        g.parameter("running_mean", mean),
        g.parameter("running_var", spread),
        epsilon=0.0 if inverse else p.eps,
    )


def _first_filler(param: schema.Message, *names: str) -> schema.Message | None:
    """The first of these fillers that the definition declares, or None."""
    return next((getattr(param, name) for name in names if param.HasField(name)), None)


def _stores_inverse_deviation(layer: BoundLayer) -> bool:
    """Whether the fourth blob is 1 / deviation, as in happynear's fork, and not the variance.

    PSPNet's fork is told by the shape of its blobs, 1xCx1x1. yjxiong's and happynear's store 1xC; the field
    number of the parameters, in this or another BN of the file, tells them apart.
    """
    numbers = parameter_fields(layer)
    if layer.type != "BN" or (_HAPPYNEAR_BN not in numbers and numbers & {_YJXIONG_BN, _PSPNET_BN}):
        return False
    if _HAPPYNEAR_BN in numbers:
        return True
    if any(len(shape) == 2 for shape in stored_shapes(layer)):
        raise layer.unsupported(
            "its blobs are 1xC as in two forks, and the weights file does not say which wrote it: the fourth "
            "is the variance in yjxiong's (TSN) and 1 / deviation in happynear's. If it is the variance, "
            'write type: "SyncBN"'
        )
    return False


def _segnet_bn(g: Graph, layer: BoundLayer, x: ir.Value) -> list[ir.Value]:
    p, shape = layer.param, dims(x)
    channels = layer.static(shape[1], "the number of channels")
    wanted = [
        vector_parameter(layer, 0, "scale", channels, _first_filler(p, "scale_filler")),
        vector_parameter(layer, 1, "shift", channels, _first_filler(p, "shift_filler")),
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
