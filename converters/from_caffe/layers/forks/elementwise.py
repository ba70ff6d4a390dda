"""Layers of Caffe's forks that compute each element from the same element of their bottoms."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from converters.dropout import add_dropout
from converters.from_caffe.bound_layer import BoundLayer
from converters.from_caffe.layers.checks import image_axes
from converters.from_caffe.layers.limits import FLT_MAX
from converters.from_caffe.layers.registry import layer
from converters.graph import Graph, scalar
from converters.sizes import dims, shape_text

_SUBTRACT = 4


@layer("ReLU6", param="relu6_param", fork_field_numbers=(208, 211, 216, 100000))
def relu6(g: Graph, layer: BoundLayer, x: ir.Value) -> ir.Value:
    """min(max(x, 0) + negative_slope * min(x, 0), 6)."""
    slope = layer.param.negative_slope
    if not slope:
        return g.node("Clip", x, scalar(0), scalar(6))
    return g.node("Min", g.node("LeakyRelu", x, alpha=slope), scalar(6))


@layer("NegReLU", param="relu_param")
def neg_relu(g: Graph, layer: BoundLayer, x: ir.Value) -> ir.Value:
    """min(x, 0) + negative_slope * max(x, 0) (FlowNet)."""
    slope = layer.param.negative_slope
    if not slope:
        return g.node("Min", x, scalar(0))
    return g.node("Neg", g.node("LeakyRelu", g.node("Neg", x), alpha=slope))


@layer("Cosine")
def cosine(g: Graph, layer: BoundLayer, x: ir.Value) -> ir.Value:
    """cos(x)."""
    return g.node("Cos", x)


@layer("SpatialDropout", param="spatial_dropout_param", fork_field_numbers=(149, 155))
def spatial_dropout(g: Graph, layer: BoundLayer, x: ir.Value) -> ir.Value:
    """The identity at inference: it drops and scales whole channels while training (ENet)."""
    if layer.param.sample_weights_test:
        raise layer.unsupported("sample_weights_test asks for random dropout at inference")
    ratio = layer.param.dropout_ratio
    return add_dropout(g, x, ratio, whole_channels=len(dims(x)) > 2, in_place=layer.in_place)


@layer("Axpy", param="axpy_param", fork_field_numbers=(151, 210), in_place=False)
def axpy(g: Graph, layer: BoundLayer, scale: ir.Value, x: ir.Value, y: ir.Value) -> ir.Value:
    """a * x + y, with one factor a per item and channel (SENet)."""
    shape = dims(x)
    layer.check(len(shape) >= 2, f"x needs the axes num and channels, it is {shape_text(shape)}")
    layer.check(dims(y) == shape, f"x is {shape_text(shape)}, y is {shape_text(dims(y))}")
    layer.check(
        dims(scale)[:2] == shape[:2] and all(size == 1 for size in dims(scale)[2:]),
        f"the scale must be {shape_text(shape[:2])} (and axes of size 1), it is {shape_text(dims(scale))}",
    )
    factor = g.reshape(scale, (*shape[:2], *(1,) * (len(shape) - 2)))
    return g.node("Add", g.node("Mul", x, factor), y)


@layer("SpatialProduct", in_place=False)
def spatial_product(g: Graph, layer: BoundLayer, x: ir.Value, scale: ir.Value) -> ir.Value:
    """All channels of a pixel times the scale of that pixel (DeepLab)."""
    wanted = (dims(x)[0], 1, *dims(x)[2:])
    layer.check(
        len(wanted) == 4 and dims(scale) == wanted,
        f"the scale must be {shape_text(wanted)}, it is {shape_text(dims(scale))}",
    )
    return g.node("Mul", x, scale)


@layer("Mean", param="mean_param", fork_field_numbers=(154,), tops=(1, None))
def mean(g: Graph, layer: BoundLayer, first: ir.Value, *others: ir.Value) -> list[ir.Value]:
    """output_scale * (input_scale * x + or - mean_scale * mean); the mean values repeat (FlowNet)."""
    p = layer.param
    bottoms = (first, *others)
    layer.check(len(bottoms) == layer.top_count, f"{len(bottoms)} bottoms make {len(bottoms)} tops")
    if p.HasField("file"):
        raise layer.unsupported(f"its mean image is in another file, {p.file!r}; subtract it from the input")
    layer.check(len(p.value) > 0, "needs its mean as `value`")
    sign = -1 if p.operation == _SUBTRACT else 1
    tops = []
    for x in bottoms:
        channels = layer.static(image_axes(layer, x)[1], "the number of channels")
        layer.check(
            channels % len(p.value) == 0, f"{len(p.value)} mean values do not divide {channels} channels"
        )
        scale = p.input_scale * p.output_scale
        shift = np.resize(list(p.value), channels) * sign * p.mean_scale * p.output_scale
        layer.check(
            max(abs(scale), *np.abs(shift)) <= FLT_MAX, "its scales and mean exceed what a float holds"
        )
        y = g.node("Mul", x, scalar(scale))
        tops.append(g.node("Add", y, shift.astype(np.float32).reshape(1, channels, 1, 1)))
    return tops
