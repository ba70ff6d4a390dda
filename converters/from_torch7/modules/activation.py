"""Elementwise functions and the softmax family."""

from __future__ import annotations

import math

import onnx_ir as ir

from converters.errors import FormatError
from converters.from_torch7.backward_shape_inference import ANY
from converters.from_torch7.builder import Builder
from converters.from_torch7.module import Module
from converters.from_torch7.modules.checks import check_channels
from converters.from_torch7.modules.shape import axis_of
from converters.from_torch7.registry import module
from converters.graph import scalar
from converters.sizes import dims


def clip(g: Builder, x: ir.Value, low: float, high: float) -> ir.Value:
    """x limited to [low, high]."""
    return g.node("Clip", x, scalar(low), scalar(high))


def where(g: Builder, condition: str, x: ir.Value, limit: float, a: object, b: object) -> ir.Value:
    """`a` where x is "Greater" ("Less", ...) than the limit, else `b`; both are values or numbers."""
    mask = g.node(condition, x, scalar(limit), dtype=ir.DataType.BOOL)
    parts = [part if isinstance(part, ir.Value) else scalar(part) for part in (a, b)]  # type: ignore[arg-type]
    return g.node("Where", mask, *parts, shape=dims(x), dtype=ir.DataType.FLOAT)


def threshold(g: Builder, x: ir.Value, limit: float, value: float) -> ir.Value:
    """x where it is above the limit, else the value."""
    return g.node("Relu", x) if limit == value == 0 else where(g, "Greater", x, limit, x, value)


@module("ReLU", supports_inplace=True, expects=ANY)
def relu(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """max(x, 0); a Threshold with both fields 0 in nn, without these fields in cudnn."""
    return threshold(g, x, m.number("threshold", 0), m.number("val", 0))


@module("Threshold", supports_inplace=True, expects=ANY)
def threshold_module(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """x > threshold ? x : val."""
    return threshold(g, x, m.number("threshold", 1e-6), m.number("val", 0))


@module("ReLU6", supports_inplace=True, expects=ANY)
def relu6(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """x limited to [0, 6]."""
    return clip(g, x, 0, 6)


@module("ClippedReLU", supports_inplace=True, expects=ANY)
def clipped_relu(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """x limited to [0, ceiling] (cudnn)."""
    return clip(g, x, 0, m.number("ceiling"))


@module("HardTanh", "Clamp", supports_inplace=True, expects=ANY)
def hard_tanh(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """x limited to [min_val, max_val]; to [-1, 1] in old files, which have neither field."""
    return clip(g, x, m.number("min_val", -1), m.number("max_val", 1))


@module("Clip", may_overwrite=True, expects=ANY)
def clip_module(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """x limited to [minval, maxval], first from above, so that minval wins if it is larger (dpnn)."""
    low, high = m.number("minval"), m.number("maxval")
    return clip(g, x, low, high) if low <= high else clip(g, x, low, low)


@module("SAdd", new_output=lambda x: True, expects=ANY)
def scalar_add(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """x + addend, or with `negate` -(x + addend) (rnn)."""
    total = g.binary("Add", x, m.number("addend"))
    return g.node("Neg", total) if m.flag("negate") else total


@module("LeakyReLU", "w2nn.LeakyReLU", supports_inplace=True, expects=ANY)
def leaky_relu(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """x > 0 ? x : negval * x; the field is negative_scale in old files of waifu2x."""
    return g.node("LeakyRelu", x, alpha=m.number("negval" if m.has("negval") else "negative_scale"))


@module("RReLU", supports_inplace=True, expects=ANY)
def rrelu(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """A LeakyReLU whose slope, random in training, is the middle of its range in evaluation."""
    return g.node("LeakyRelu", x, alpha=(m.number("lower") + m.number("upper")) / 2)


@module("PReLU", "fbnn.LeakyReLU", may_overwrite=True, expects=ANY)
def prelu(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """x > 0 ? x : w * x, with one w, or one for each channel (the first dimension of 1-D and 3-D input)."""
    slope = m.tensor("weight")
    axis = 0 if len(dims(x)) in (1, 3) else 1
    if planes := m.integer("nOutputPlane", 0):
        check_channels(m, x, axis, planes)
        slope = slope.reshape(-1, *[1] * (len(dims(x)) - axis - 1))
    return g.node("PRelu", x, g.weight("weight", slope))


@module("ELU", supports_inplace=True, expects=ANY)
def elu(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """x > 0 ? x : alpha * (exp(x) - 1)."""
    return g.node("Elu", x, alpha=m.number("alpha", 1))


@module("SoftPlus", may_overwrite=True, expects=ANY)
def soft_plus(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """log(1 + exp(beta * x)) / beta, and x itself where beta * x is above the threshold."""
    beta, limit = m.number("beta", 1), m.number("threshold", 20)
    scaled = x if beta == 1 else g.binary("Mul", x, beta)
    soft = g.node("Softplus", scaled)
    if beta != 1:
        soft = g.binary("Div", soft, beta)
    # From 17 on, softplus(x) and x are the same number in float32.
    return soft if limit >= 17 else where(g, "Greater", scaled, limit, x, soft)


@module("HardShrink", may_overwrite=True, expects=ANY)
def hard_shrink(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """x where |x| > lambda, else 0."""
    return where(g, "Greater", g.node("Abs", x), m.number("lambda", 0.5), x, 0.0)


@module("SoftShrink", may_overwrite=True, expects=ANY)
def soft_shrink(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """x moved towards zero by lambda, but not past zero."""
    limit = m.number("lambda", 0.5)
    return g.binary("Sub", x, clip(g, x, -limit, limit))


@module("TanhShrink", may_overwrite=True, expects=ANY)
def tanh_shrink(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """x - tanh(x)."""
    return g.binary("Sub", x, g.node("Tanh", x))


@module("LogSigmoid", may_overwrite=True, expects=ANY)
def log_sigmoid(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """log(1 / (1 + exp(-x)))."""
    return g.node("Neg", g.node("Softplus", g.node("Neg", x)))


@module("Sigmoid", may_overwrite=True, expects=ANY)
def sigmoid(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """1 / (1 + exp(-x))."""
    return g.node("Sigmoid", x)


@module("Tanh", may_overwrite=True, expects=ANY)
def tanh(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """The hyperbolic tangent."""
    return g.node("Tanh", x)


@module("SoftSign", may_overwrite=True, expects=ANY)
def soft_sign(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """x / (1 + |x|)."""
    return g.node("Softsign", x)


@module("Abs", may_overwrite=True, expects=ANY)
def absolute(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """|x|."""
    return g.node("Abs", x)


@module("Exp", may_overwrite=True, expects=ANY)
def exponential(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """e to the power x."""
    return g.node("Exp", x)


@module("Log", may_overwrite=True, expects=ANY)
def logarithm(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """The natural logarithm."""
    return g.node("Log", x)


@module("Sqrt", may_overwrite=True, expects=ANY)
def square_root(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """The square root; the field eps is for the gradient only."""
    return g.node("Sqrt", x)


@module("Square", may_overwrite=True, expects=ANY)
def square(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """x * x."""
    return g.binary("Mul", x, x)


@module("Power", may_overwrite=True, expects=ANY)
def power(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """x to the power `pow`."""
    return g.binary("Pow", x, m.number("pow"))


def softmax_axis(m: Module, x: ir.Value) -> int:
    """The axis of nn's softmax family: the features of a vector or matrix, the channels of maps."""
    rank = len(dims(x))
    if not 1 <= rank <= 4:
        raise m.unsupported(f"takes 1-D to 4-D input, not {rank}-D")
    return 0 if rank in (1, 3) else 1


@module("SoftMax", "SpatialSoftMax", may_overwrite=True, expects=ANY)
def softmax(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """exp(x) / sum(exp(x)) over the features of a vector or matrix, or the channels of maps."""
    return g.node("Softmax", x, axis=softmax_axis(m, x))


@module("SoftMin", may_overwrite=True, expects=ANY)
def softmin(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """The softmax of -x."""
    return g.node("Softmax", g.node("Neg", x), axis=softmax_axis(m, x))


@module("LogSoftMax", "SpatialLogSoftMax", may_overwrite=True, expects=ANY)
def log_softmax(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """The logarithm of SoftMax."""
    return g.node("LogSoftmax", x, axis=softmax_axis(m, x))


def cudnn_softmax(g: Builder, m: Module, x: ir.Value, op_type: str, mode: str) -> ir.Value:
    """cudnn's softmax family: over the channels, or with mode INSTANCE over a whole sample.

    1-D and 3-D inputs are single samples.
    """
    rank = len(dims(x))
    first = 0 if rank in (1, 3) else 1
    if rank - first == 1 or "CHANNEL" in m.text("mode", mode):
        return g.node(op_type, x, axis=first)
    shape = dims(x)
    flat = g.reshape(x, (*shape[:first], math.prod(m.static_size(size) for size in shape[first:])))
    return g.reshape(g.node(op_type, flat, axis=first), shape)


@module("cudnn.SoftMax", name="softmax", expects=ANY)
def cudnn_softmax_module(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """A softmax over channels, height and width together."""
    return cudnn_softmax(g, m, x, "Softmax", "INSTANCE")


@module("cudnn.LogSoftMax", name="logsoftmax", expects=ANY)
def cudnn_log_softmax(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """The logarithm of a softmax over channels, height and width together."""
    return cudnn_softmax(g, m, x, "LogSoftmax", "INSTANCE")


@module("cudnn.SpatialSoftMax", "cudnn.VolumetricSoftMax", name="softmax", expects=ANY)
def cudnn_spatial_softmax(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """A softmax over the channels at each position."""
    return cudnn_softmax(g, m, x, "Softmax", "CHANNEL")


@module("cudnn.SpatialLogSoftMax", "cudnn.VolumetricLogSoftMax", name="logsoftmax", expects=ANY)
def cudnn_spatial_log_softmax(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """The logarithm of a softmax over the channels at each position."""
    return cudnn_softmax(g, m, x, "LogSoftmax", "CHANNEL")


@module("GatedLinearUnit", name="glu")
def gated_linear_unit(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """The first half of a dimension times the sigmoid of the second."""
    axis = axis_of(m, x, "dim") if m.has("dim") else len(dims(x)) - 1
    half, odd = divmod(m.static_size(dims(x)[axis]), 2)
    if odd:
        raise m.error(FormatError, f"cannot halve {dims(x)[axis]} entries")
    gate = g.node("Sigmoid", g.slice(x, axis, half, 2 * half))
    return g.binary("Mul", g.slice(x, axis, 0, half), gate)
