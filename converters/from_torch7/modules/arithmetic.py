"""Arithmetic with constants and weights, and regularisers that are such arithmetic in evaluation."""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir

from converters.dropout import add_dropout
from converters.errors import FormatError, MismatchError
from converters.from_torch7.backward_shape_inference import ANY
from converters.from_torch7.builder import Builder
from converters.from_torch7.module import Module
from converters.from_torch7.objects import Tensor
from converters.from_torch7.registry import module
from converters.sizes import Shape, Symbol, dims, shape_text


@module("MulConstant", name="mul", supports_inplace=True, expects=ANY)
def mul_constant(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """x * constant_scalar."""
    return apply_constant(g, m, "Mul", x)


@module("AddConstant", name="add", supports_inplace=True, expects=ANY)
def add_constant(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """x + constant_scalar."""
    return apply_constant(g, m, "Add", x)


def apply_constant(g: Builder, m: Module, op_type: str, x: ir.Value) -> ir.Value:
    """The operator on x and the field constant_scalar: a number, or a vector along the last dimension."""
    if isinstance(m.get("constant_scalar"), Tensor):
        if len(dims(x)) > 2:
            raise m.error(FormatError, f"its vector fits 1-D or 2-D input, not {shape_text(dims(x))}")
        last = dims(x)[-1]
        constant = m.tensor("constant_scalar", (last,) if isinstance(last, int) else None)
        return g.binary(op_type, x, g.weight("constant", constant))
    return g.binary(op_type, x, m.number("constant_scalar"))


@module("Mul", may_overwrite=True, expects=ANY)
def mul(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """x times one learned number."""
    return g.binary("Mul", x, g.weight("weight", m.tensor("weight", (1,))))


@module("Add", may_overwrite=True, expects=ANY)
def add(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """x plus a learned number (field `scalar`), or plus one for each element or feature."""
    bias = m.tensor("bias")
    if m.flag("scalar"):
        return g.binary("Add", x, g.weight("bias", bias.reshape(-1)[:1]))
    shape = dims(x) if bias.shape == dims(x) else (1, *dims(x)[1:])
    return g.binary("Add", x, g.weight("bias", reshape_tensor(m, "bias", bias, shape)))


@module("CMul", may_overwrite=True, expects=ANY)
def c_mul(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """x times learned factors: one for each element, or broadcast over dimensions of size 1."""
    return g.binary("Mul", x, g.weight("weight", broadcastable_tensor(m, "weight", x)))


@module("CAdd", may_overwrite=True, expects=ANY)
def c_add(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """x plus learned offsets: one for each element, or broadcast over dimensions of size 1."""
    return g.binary("Add", x, g.weight("bias", broadcastable_tensor(m, "bias", x)))


def broadcastable_tensor(m: Module, name: str, x: ir.Value) -> np.ndarray:
    """A weight in a shape that broadcasts over x, by the rules of CMul.lua.

    With as many elements as x, it gets the shape of x. With as many dimensions as x, sizes of 1 are repeated.
    Otherwise it is a single number, or for one sample and the same for every sample of the batch.
    """
    array, shape = m.tensor(name), dims(x)
    if all(isinstance(size, int) for size in shape) and array.size == math.prod(shape):
        return reshape_tensor(m, name, array, shape)
    if array.ndim == len(shape):
        if any(
            a not in (1, b) and not isinstance(b, Symbol) for a, b in zip(array.shape, shape, strict=True)
        ):
            raise mismatch_error(m, name, array, shape)
        return array
    if array.size == 1:
        return array.reshape(1)
    return reshape_tensor(m, name, array, (1, *shape[1:]))


def reshape_tensor(m: Module, name: str, array: np.ndarray, shape: Shape) -> np.ndarray:
    """The array in a shape of as many elements, at most one of whose sizes is symbolic."""
    sizes = [-1 if isinstance(size, Symbol) else size for size in shape]
    try:
        return array.reshape(sizes)
    except ValueError:
        raise mismatch_error(m, name, array, shape) from None


def mismatch_error(m: Module, name: str, array: np.ndarray, shape: Shape) -> MismatchError:
    """The error of a weight that does not fit the input."""
    return m.error(
        MismatchError,
        f"tensor {name!r} of {shape_text(array.shape)} does not fit an input of {shape_text(shape)}",
    )


@module("Constant")
def constant(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """A stored tensor, whatever the input; once for each sample if the input has a batch (nInputDim)."""
    inner = m.optional_integer("nInputDim")
    return stored_tensor(g, m, x, inner is not None and len(dims(x)) > inner)


@module("fbnn.Constant")
def fbnn_constant(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """A stored tensor, whatever the input; once for each sample."""
    return stored_tensor(g, m, x, batched=True)


def stored_tensor(g: Builder, m: Module, x: ir.Value, batched: bool) -> ir.Value:
    """The tensor in the field `value`; if `batched`, once for each sample of x."""
    value = m.get("value")
    array = np.array([value], np.float32) if isinstance(value, float) else m.tensor("value")
    stored = g.constant(array.astype(np.float32, copy=False))
    return repeat_per_sample(g, stored, x) if batched else g.node("Identity", stored)


def repeat_per_sample(g: Builder, stored: ir.Value, x: ir.Value) -> ir.Value:
    """A tensor repeated along a new first dimension of the size of x's first dimension."""
    shape, inner = (dims(x)[0], *dims(stored)), np.array(dims(stored), np.int64)
    batch = g.node("Shape", x, shape=(1,), dtype=ir.DataType.INT64, start=0, end=1)
    target = g.node("Concat", batch, inner, shape=(len(shape),), dtype=ir.DataType.INT64, axis=0)
    return g.node("Expand", stored, target, shape=shape)


# The package rnn, whose modules have the field `lazy`, returns the input itself.
@module("Dropout", supports_inplace=True, returns_input=lambda m: m.has("lazy"), expects=ANY)
def dropout(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """The input itself since version 2 (field v2); before that, the input times 1 - p."""
    check_not_stochastic(m)
    y = add_dropout(g, x, m.number("p", 0.5))
    return y if m.flag("v2") else g.binary("Mul", y, 1 - m.number("p"))


@module("cudnn.Dropout", name="dropout", supports_inplace=True, expects=ANY)
def cudnn_dropout(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """The input itself, because cudnn scales in training."""
    return add_dropout(g, x, m.number("p", 0.5))


@module("SpatialDropout", "VolumetricDropout", may_overwrite=True, expects=ANY)
def spatial_dropout(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """x * (1 - p), always."""
    check_not_stochastic(m)
    p = m.number("p")
    return g.binary("Mul", add_dropout(g, x, p, whole_channels=len(dims(x)) > 2), 1 - p)


def check_not_stochastic(m: Module) -> None:
    """UnsupportedError for a dropout that drops at inference too."""
    if m.flag("stochastic_inference") or m.flag("stochasticInference"):
        raise m.unsupported("it drops at random in evaluation too (stochastic inference)")


@module("WhiteNoise", may_overwrite=True, expects=ANY)
def white_noise(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """x plus the mean of the noise."""
    mean = m.number("mean", 0)
    return g.binary("Add", x, mean) if mean else x
