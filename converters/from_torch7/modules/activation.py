"""Elementwise activations and the softmax family."""

from __future__ import annotations

import onnx_ir as ir

from converters.from_torch7.builder import Builder, scalar
from converters.from_torch7.module import Module
from converters.from_torch7.registry import PASS, module
from converters.graph import dims


def clip(g: Builder, x: ir.Value, low: float, high: float) -> ir.Value:
    """x limited to [low, high]."""
    return g.node("Clip", x, scalar(low), scalar(high))


def threshold(g: Builder, x: ir.Value, limit: float, value: float) -> ir.Value:
    """x where it is above the limit, elsewhere the value."""
    if limit == value == 0:
        return g.node("Relu", x)
    above = g.node("Greater", x, scalar(limit), dtype=ir.DataType.BOOL)
    return g.node("Where", above, x, scalar(value), shape=dims(x), dtype=x.dtype)


@module("ReLU", overwrites=True, expects=lambda m: PASS)
def relu(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """nn.ReLU is a Threshold with both fields 0; cudnn's has neither."""
    return threshold(g, x, m.number("threshold", 0), m.number("val", 0))


@module("Threshold", overwrites=True, expects=lambda m: PASS)
def threshold_module(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """x > threshold ? x : val."""
    return threshold(g, x, m.number("threshold"), m.number("val"))


def softmax_axis(m: Module, x: ir.Value) -> int:
    """The dimension nn's softmax family works along: features of a vector or matrix, channels of maps."""
    rank = len(dims(x))
    if not 1 <= rank <= 4:
        raise m.unsupported(f"takes 1-D to 4-D input, not {rank}-D")
    return 0 if rank in (1, 3) else 1


@module("SoftMax", expects=lambda m: PASS)
def softmax(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """exp(x) / sum(exp(x)) along `softmax_axis`."""
    return g.node("Softmax", x, axis=softmax_axis(m, x))


@module("LogSoftMax", expects=lambda m: PASS)
def log_softmax(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """The logarithm of `softmax`."""
    return g.node("LogSoftmax", x, axis=softmax_axis(m, x))
