"""Activations: a module for a whole layer of the source, a function for one step of another layer."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from converters.dropout import drops_whole_channels
from converters.to_pytorch.context import Context
from converters.to_pytorch.generated_net import Initializer, number
from converters.to_pytorch.registry import operator

_CHANNEL_DROPOUT = {3: nn.Dropout1d, 4: nn.Dropout2d, 5: nn.Dropout3d}
# Defaults of the ONNX specification; torch uses the same numbers.
SELU = {"alpha": 1.6732632, "gamma": 1.050701}


@operator("Relu")
def relu(ctx: Context, x: Tensor) -> Tensor:
    """max(x, 0)."""
    return ctx.module_or_function(F.relu, nn.ReLU)(x)


@operator("LeakyRelu")
def leaky_relu(ctx: Context, x: Tensor, *, alpha: float = 0.01) -> Tensor:
    """x, or alpha * x below zero."""
    return ctx.module_or_function(F.leaky_relu, nn.LeakyReLU, negative_slope=alpha)(x)


@operator("PRelu")
def prelu(ctx: Context, x: Tensor, slope: Initializer | Tensor) -> Tensor:
    """LeakyRelu with learned slopes; an nn.PReLU if there is one slope per channel, or a single one."""
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
    return ctx.module_or_function(F.elu, nn.ELU, alpha=alpha)(x)


@operator("Celu")
def celu(ctx: Context, x: Tensor, *, alpha: float = 1.0) -> Tensor:
    """x, or alpha * (exp(x / alpha) - 1) below zero."""
    return ctx.module_or_function(F.celu, nn.CELU, alpha=alpha)(x)


@operator("Selu")
def selu(ctx: Context, x: Tensor, *, alpha: float = SELU["alpha"], gamma: float = SELU["gamma"]) -> Tensor:
    """gamma * Elu."""
    if (alpha, gamma) == (SELU["alpha"], SELU["gamma"]):
        return ctx.module_or_function(F.selu, nn.SELU)(x)
    return gamma * F.elu(x, alpha)


@operator("Sigmoid")
def sigmoid(ctx: Context, x: Tensor) -> Tensor:
    """1 / (1 + exp(-x))."""
    return ctx.module_or_function(torch.sigmoid, nn.Sigmoid)(x)


@operator("Tanh")
def tanh(ctx: Context, x: Tensor) -> Tensor:
    """The hyperbolic tangent."""
    return ctx.module_or_function(torch.tanh, nn.Tanh)(x)


@operator("Softplus")
def softplus(ctx: Context, x: Tensor) -> Tensor:
    """log(1 + exp(x)); above 20 torch returns x itself, which is less than 3e-9 off."""
    return ctx.module_or_function(F.softplus, nn.Softplus)(x)


@operator("Softsign")
def softsign(ctx: Context, x: Tensor) -> Tensor:
    """x / (1 + |x|)."""
    return ctx.module_or_function(F.softsign, nn.Softsign)(x)


@operator("HardSigmoid")
def hard_sigmoid(ctx: Context, x: Tensor, *, alpha: float = 0.2, beta: float = 0.5) -> Tensor:
    """alpha * x + beta, limited to 0 and 1."""
    return (alpha * x + beta).clamp(0, 1)


@operator("HardSwish")
def hard_swish(ctx: Context, x: Tensor) -> Tensor:
    """x * HardSigmoid(x) with alpha 1/6 and beta 0.5."""
    return ctx.module_or_function(F.hardswish, nn.Hardswish)(x)


@operator("Gelu")
def gelu(ctx: Context, x: Tensor, *, approximate: str = "none") -> Tensor:
    """x times the cumulative distribution function of the standard normal distribution."""
    return ctx.module_or_function(F.gelu, nn.GELU, approximate=approximate)(x)


@operator("Mish")
def mish(ctx: Context, x: Tensor) -> Tensor:
    """x * tanh(softplus(x))."""
    return ctx.module_or_function(F.mish, nn.Mish)(x)


@operator("ThresholdedRelu")
def thresholded_relu(ctx: Context, x: Tensor, *, alpha: float = 1.0) -> Tensor:
    """x above alpha, else 0."""
    return ctx.module_or_function(F.threshold, nn.Threshold, threshold=alpha, value=0)(x)


@operator("Shrink")
def shrink(ctx: Context, x: Tensor, *, bias: float = 0.0, lambd: float = 0.5) -> Tensor:
    """x moved towards zero by bias, and 0 between -lambd and lambd."""
    if not ctx.output_dtype().is_floating_point():
        ctx.unsupported("PyTorch has it for floating-point numbers only, and its input holds integers")
    return torch.where(x < -lambd, x + bias, torch.where(x > lambd, x - bias, 0.0))


@operator("Clip")
def clip(
    ctx: Context, x: Tensor, min: float | Tensor | None = None, max: float | Tensor | None = None
) -> Tensor:
    """x limited to min and max."""
    bounds: Any = {"min": min, "max": max}
    given = {key: bound for key, bound in bounds.items() if bound is not None}
    if all(isinstance(bound, float) for bound in given.values()) and given == {"min": 0.0, "max": 6.0}:
        return ctx.module_or_function(F.relu6, nn.ReLU6)(x)
    if len({isinstance(bound, int | float) for bound in given.values()}) == 2:
        # Torch takes two numbers or two tensors. The upper bound is applied last, as in ONNX.
        return x.clamp(min=min).clamp(max=max)
    return x.clamp(**given) if given else x


@operator("Softmax")
def softmax(ctx: Context, x: Tensor, *, axis: int = -1) -> Tensor:
    """exp(x) divided by its sum along an axis."""
    return ctx.module_or_function(F.softmax, nn.Softmax, dim=axis)(x)


@operator("LogSoftmax")
def log_softmax(ctx: Context, x: Tensor, *, axis: int = -1) -> Tensor:
    """The logarithm of Softmax."""
    return ctx.module_or_function(F.log_softmax, nn.LogSoftmax, dim=axis)(x)


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
    """The identity at inference; an nn.Dropout, so that training can continue."""
    if training_mode is not None and training_mode.any():
        ctx.unsupported("training_mode=1 drops values at random; convert an inference net")
    if ctx.is_used(1):
        ctx.unsupported("its mask has no PyTorch form")
    by_rank = _CHANNEL_DROPOUT if drops_whole_channels(ctx.node) else {}
    module = by_rank.get(ctx.rank(x), nn.Dropout) if by_rank else nn.Dropout
    return ctx.module(module, 0.5 if ratio is None else number(ratio))(x)
