"""Activations: modules where they are layers of the source, functions inside the formula of another layer."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from converters.to_pytorch.context import Context
from converters.to_pytorch.net import Initializer, number
from converters.to_pytorch.registry import operator

# The constants of the ONNX specification, which are those of torch.
SELU = {"alpha": 1.6732632, "gamma": 1.050701}


@operator("Relu")
def relu(ctx: Context, x: Tensor) -> Tensor:
    """max(x, 0)."""
    return ctx.layer_or(F.relu, nn.ReLU)(x)


@operator("LeakyRelu")
def leaky_relu(ctx: Context, x: Tensor, *, alpha: float = 0.01) -> Tensor:
    """x, or alpha * x below zero."""
    return ctx.layer_or(F.leaky_relu, nn.LeakyReLU, negative_slope=alpha)(x)


@operator("PRelu")
def prelu(ctx: Context, x: Tensor, slope: Initializer | Tensor) -> Tensor:
    """LeakyRelu with learned slopes; an nn.PReLU where there is one a channel, or one in all."""
    if isinstance(slope, Initializer) and slope.array.dtype.kind == "f" and _is_per_channel(ctx, x, slope):
        size = slope.array.size
        return ctx.module(nn.PReLU, size, weights={"weight": slope.reshape(size)})(x)
    return torch.where(x < 0, x * ctx.tensor(slope), x)


def _is_per_channel(ctx: Context, x: Tensor, slope: Initializer) -> bool:
    shape, slopes = ctx.shape(x), slope.array.shape
    if slope.array.size == 1:
        return True
    return shape is not None and len(shape) > 1 and slopes == (shape[1], *[1] * (len(shape) - 2))


@operator("Elu")
def elu(ctx: Context, x: Tensor, *, alpha: float = 1.0) -> Tensor:
    """x, or alpha * (exp(x) - 1) below zero."""
    return ctx.layer_or(F.elu, nn.ELU, alpha=alpha)(x)


@operator("Celu")
def celu(ctx: Context, x: Tensor, *, alpha: float = 1.0) -> Tensor:
    """x, or alpha * (exp(x / alpha) - 1) below zero."""
    return ctx.layer_or(F.celu, nn.CELU, alpha=alpha)(x)


@operator("Selu")
def selu(ctx: Context, x: Tensor, *, alpha: float = SELU["alpha"], gamma: float = SELU["gamma"]) -> Tensor:
    """gamma * Elu."""
    if (alpha, gamma) == (SELU["alpha"], SELU["gamma"]):
        return ctx.layer_or(F.selu, nn.SELU)(x)
    return gamma * F.elu(x, alpha)


@operator("Sigmoid")
def sigmoid(ctx: Context, x: Tensor) -> Tensor:
    """1 / (1 + exp(-x))."""
    return ctx.layer_or(torch.sigmoid, nn.Sigmoid)(x)


@operator("Tanh")
def tanh(ctx: Context, x: Tensor) -> Tensor:
    """The hyperbolic tangent."""
    return ctx.layer_or(torch.tanh, nn.Tanh)(x)


@operator("Softplus")
def softplus(ctx: Context, x: Tensor) -> Tensor:
    """log(1 + exp(x)); torch returns x itself above 20, where that differs by less than 3e-9."""
    return ctx.layer_or(F.softplus, nn.Softplus)(x)


@operator("Softsign")
def softsign(ctx: Context, x: Tensor) -> Tensor:
    """x / (1 + |x|)."""
    return ctx.layer_or(F.softsign, nn.Softsign)(x)


@operator("HardSigmoid")
def hard_sigmoid(ctx: Context, x: Tensor, *, alpha: float = 0.2, beta: float = 0.5) -> Tensor:
    """alpha * x + beta between 0 and 1."""
    return (alpha * x + beta).clamp(0, 1)


@operator("HardSwish")
def hard_swish(ctx: Context, x: Tensor) -> Tensor:
    """x * HardSigmoid with alpha 1/6."""
    return ctx.layer_or(F.hardswish, nn.Hardswish)(x)


@operator("Gelu")
def gelu(ctx: Context, x: Tensor, *, approximate: str = "none") -> Tensor:
    """x times the normal distribution function."""
    return ctx.layer_or(F.gelu, nn.GELU, approximate=approximate)(x)


@operator("Mish")
def mish(ctx: Context, x: Tensor) -> Tensor:
    """x * tanh(softplus(x))."""
    return ctx.layer_or(F.mish, nn.Mish)(x)


@operator("ThresholdedRelu")
def thresholded_relu(ctx: Context, x: Tensor, *, alpha: float = 1.0) -> Tensor:
    """x above alpha, else 0."""
    return ctx.layer_or(F.threshold, nn.Threshold, threshold=alpha, value=0)(x)


@operator("Shrink")
def shrink(ctx: Context, x: Tensor, *, bias: float = 0.0, lambd: float = 0.5) -> Tensor:
    """x moved towards zero by bias, and 0 between -lambd and lambd."""
    if not ctx.output_dtype().is_floating_point():
        ctx.unsupported("of integers it has no PyTorch form")
    return torch.where(x < -lambd, x + bias, torch.where(x > lambd, x - bias, 0.0))


@operator("Clip")
def clip(
    ctx: Context, x: Tensor, min: float | Tensor | None = None, max: float | Tensor | None = None
) -> Tensor:
    """x kept between min and max."""
    bounds: Any = {"min": min, "max": max}
    given = {key: bound for key, bound in bounds.items() if bound is not None}
    if all(isinstance(bound, float) for bound in given.values()) and given == {"min": 0.0, "max": 6.0}:
        return ctx.layer_or(F.relu6, nn.ReLU6)(x)
    if len({isinstance(bound, int | float) for bound in given.values()}) == 2:
        # Torch takes two numbers or two tensors; the upper bound comes last, as it does in ONNX.
        return x.clamp(min=min).clamp(max=max)
    return x.clamp(**given) if given else x


@operator("Softmax")
def softmax(ctx: Context, x: Tensor, *, axis: int = -1) -> Tensor:
    """exp(x) over its sum along an axis."""
    return ctx.layer_or(F.softmax, nn.Softmax, dim=axis)(x)


@operator("LogSoftmax")
def log_softmax(ctx: Context, x: Tensor, *, axis: int = -1) -> Tensor:
    """The logarithm of Softmax."""
    return ctx.layer_or(F.log_softmax, nn.LogSoftmax, dim=axis)(x)


@operator("Hardmax")
def hardmax(ctx: Context, x: Tensor, *, axis: int = -1) -> Tensor:
    """1 at the first maximum along an axis, else 0."""
    return torch.zeros_like(x).scatter(axis, x.argmax(axis, keepdim=True), 1)


@operator("Dropout")
def dropout(
    ctx: Context,
    x: Tensor,
    ratio: np.ndarray | None = None,
    training_mode: np.ndarray | None = None,
    *,
    seed: int = 0,
) -> Tensor:
    """Nothing at inference; an nn.Dropout, so that the net can be trained on."""
    if training_mode is not None and training_mode.any():
        ctx.unsupported("training_mode=1 drops values at random; convert an inference net")
    if ctx.wants(1):
        ctx.unsupported("its mask has no PyTorch form")
    return ctx.module(nn.Dropout, 0.5 if ratio is None else number(ratio))(x)
