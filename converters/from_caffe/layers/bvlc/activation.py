"""Layers that compute each element from the same element of their bottom."""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir

from converters.dropout import add_dropout
from converters.from_caffe.bound_layer import BoundLayer, Parameter
from converters.from_caffe.fillers import constant_filler
from converters.from_caffe.layers.checks import check_rank
from converters.from_caffe.layers.registry import layer, one_value_per_channel
from converters.graph import Graph, scalar
from converters.sizes import dims


@layer("ReLU", param="relu_param", keeps_time=True)
def relu(g: Graph, layer: BoundLayer, x: ir.Value) -> ir.Value:
    """max(x, 0) + negative_slope * min(x, 0)."""
    slope = layer.param.negative_slope
    return g.node("LeakyRelu", x, alpha=slope) if slope else g.node("Relu", x)


@layer("PReLU", param="prelu_param", bottom_of_blob=one_value_per_channel)
def prelu(g: Graph, layer: BoundLayer, x: ir.Value) -> ir.Value:
    """max(x, 0) + slope * min(x, 0) with one slope per channel, or one for all."""
    shape = dims(x)
    check_rank(layer, x, 2, 4)
    channels = 1 if layer.param.channel_shared else layer.static(shape[1], "the number of channels")
    wanted = () if layer.param.channel_shared else (channels,)
    filler = layer.param.filler if layer.param.HasField("filler") else constant_filler(0.25)
    (slope,) = layer.parameters(Parameter("slope", wanted, filler))
    return g.node("PRelu", x, g.parameter("slope", slope.reshape((channels,) + (1,) * (len(shape) - 2))))


@layer("ELU", param="elu_param")
def elu(g: Graph, layer: BoundLayer, x: ir.Value) -> ir.Value:
    """x for x > 0, else alpha * (exp(x) - 1); all times lambda in NVIDIA's fork."""
    y = g.node("Elu", x, alpha=layer.param.alpha)
    factor = getattr(layer.param, "lambda")  # a keyword of Python
    return y if factor == 1 else g.node("Mul", y, scalar(factor))


@layer("Sigmoid", keeps_time=True)
def sigmoid(g: Graph, layer: BoundLayer, x: ir.Value) -> ir.Value:
    """1 / (1 + exp(-x))."""
    return g.node("Sigmoid", x)


@layer("TanH", keeps_time=True)
def tanh(g: Graph, layer: BoundLayer, x: ir.Value) -> ir.Value:
    """tanh(x)."""
    return g.node("Tanh", x)


@layer("BNLL")
def bnll(g: Graph, layer: BoundLayer, x: ir.Value) -> ir.Value:
    """log(1 + exp(x)), written so that large x does not overflow."""
    positive = g.node("Relu", x)
    tail = g.node("Log", g.node("Add", g.node("Exp", g.node("Neg", g.node("Abs", x))), scalar(1)))
    return g.node("Add", positive, tail)


@layer("AbsVal", in_place=False)
def absval(g: Graph, layer: BoundLayer, x: ir.Value) -> ir.Value:
    """|x|."""
    return g.node("Abs", x)


@layer("Swish", param="swish_param")
def swish(g: Graph, layer: BoundLayer, x: ir.Value) -> ir.Value:
    """x * sigmoid(beta * x)."""
    beta = layer.param.beta
    inner = x if beta == 1 else g.node("Mul", x, scalar(beta))
    return g.node("Mul", x, g.node("Sigmoid", inner))


@layer("Clip", param="clip_param", fork_field_numbers=(2202,))
def clip(g: Graph, layer: BoundLayer, x: ir.Value) -> ir.Value:
    """max(min(x, max), min). Where min exceeds max, the result is min; that of ONNX's Clip is max."""
    low, high = layer.param.min, layer.param.max
    return g.node("Clip", x, scalar(low), scalar(max(low, high)))


@layer("Threshold", param="threshold_param")
def threshold(g: Graph, layer: BoundLayer, x: ir.Value) -> ir.Value:
    """1 where x > threshold, else 0."""
    above = g.node("Greater", x, scalar(layer.param.threshold), dtype=ir.DataType.BOOL)
    return g.cast(above, ir.DataType.FLOAT)


@layer("Power", param="power_param", keeps_labels=True)
def power(g: Graph, layer: BoundLayer, x: ir.Value) -> ir.Value:
    """(shift + scale * x) ^ power."""
    p, scale, shift = layer.param.power, layer.param.scale, layer.param.shift
    if p == 0 or scale == 0:  # Caffe fills a constant: 0 ^ 0 is 1, whatever x holds
        with np.errstate(all="ignore"):
            return _constant_like(g, x, 1.0 if p == 0 else float(np.power(np.float64(shift), p)))
    y = g.node("Mul", x, scalar(scale)) if scale != 1 else x
    y = g.node("Add", y, scalar(shift)) if shift != 0 else y
    y = g.node("Pow", y, scalar(p)) if p != 1 else y
    return y if y is not x else g.node("Identity", x)


def _constant_like(g: Graph, x: ir.Value, value: float) -> ir.Value:
    size = g.node("Shape", x, shape=(len(dims(x)),), dtype=ir.DataType.INT64)
    return g.node("Expand", g.constant(scalar(value)), size, shape=dims(x))


@layer("Exp", param="exp_param")
def exp(g: Graph, layer: BoundLayer, x: ir.Value) -> ir.Value:
    """base ^ (shift + scale * x), base -1 meaning e."""
    base, scale, shift = layer.param.base, layer.param.scale, layer.param.shift
    layer.check(base == -1 or base > 0, f"base must be positive (or -1 for e), it is {base:g}")
    log_base = 1.0 if base == -1 else math.log(base)
    with np.errstate(over="ignore"):
        inner, outer = log_base * scale, 1.0 if shift == 0 else float(np.exp(log_base * shift))
    y = g.node("Exp", g.node("Mul", x, scalar(inner)) if inner != 1 else x)
    return g.node("Mul", y, scalar(outer)) if outer != 1 else y


@layer("Log", param="log_param")
def log(g: Graph, layer: BoundLayer, x: ir.Value) -> ir.Value:
    """log_base(shift + scale * x), base -1 meaning e."""
    base, scale, shift = layer.param.base, layer.param.scale, layer.param.shift
    layer.check(base == -1 or (base > 0 and base != 1), f"base must be positive and not 1, it is {base:g}")
    y = g.node("Mul", x, scalar(scale)) if scale != 1 else x
    y = g.node("Add", y, scalar(shift)) if shift != 0 else y
    y = g.node("Log", y)
    return g.node("Mul", y, scalar(1 / math.log(base))) if base != -1 else y


@layer("Dropout", param="dropout_param", keeps_time=True)
def dropout(g: Graph, layer: BoundLayer, x: ir.Value) -> ir.Value:
    """The identity at inference: Caffe scales while training.

    Forks with `scale_train: false` multiply by (1 - ratio) at inference instead, and always where the model
    is trained further, since its dropout then divides by that.
    """
    if layer.trains or layer.param.sample_weights_test:
        what = "phase: TRAIN" if layer.trains else "sample_weights_test"
        raise layer.unsupported(f"{what} asks for random dropout at inference")
    ratio = layer.param.dropout_ratio
    y = add_dropout(g, x, ratio, in_place=layer.in_place)
    return y if layer.param.scale_train else g.node("Mul", y, scalar(1 - ratio))
