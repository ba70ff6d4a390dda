"""Normalization with the statistics of batches, planes, layers or neighbouring channels."""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from converters.to_pytorch.context import Context
from converters.to_pytorch.generated_net import Initializer
from converters.to_pytorch.registry import operator
from converters.training_settings import trains_with_stored_statistics

_BATCH_NORM = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d, 5: nn.BatchNorm3d}
_INSTANCE_NORM = {3: nn.InstanceNorm1d, 4: nn.InstanceNorm2d, 5: nn.InstanceNorm3d}
Stored = Initializer | Tensor


@operator("BatchNormalization")
def batch_normalization(
    ctx: Context,
    x: Tensor,
    scale: Stored,
    bias: Stored,
    mean: Stored,
    var: Stored,
    *,
    epsilon: float = 1e-5,
    momentum: float = 0.9,
    training_mode: int = 0,
) -> Tensor:
    """(x - mean) / sqrt(var + epsilon) * scale + bias, with the stored statistics.

    ONNX's momentum is the share of the old statistics that training keeps, torch's that of the new ones.
    """
    if training_mode:
        ctx.unsupported("training_mode=1 uses the statistics of the batch; convert an inference net")
    given = {"weight": scale, "bias": bias, "running_mean": mean, "running_var": var}
    weights = {key: value for key, value in given.items() if isinstance(value, Initializer)}
    rank = len(ctx.shape(x) or ())
    if len(weights) < 4 or rank not in _BATCH_NORM:
        statistics = ctx.net.tensor(mean, trainable=False), ctx.net.tensor(var, trainable=False)
        return F.batch_norm(x, *statistics, ctx.tensor(scale), ctx.tensor(bias), eps=epsilon)
    learned = [key for key in ("weight", "bias") if _is_learned(weights[key], key)]
    scaled_after = learned == ["weight"] and weights["bias"].is_weight is False
    affine = bool(learned) and not scaled_after
    if not affine:
        weights = {key: value for key, value in weights.items() if key not in ("weight", "bias")}
    new_share = round(1 - momentum, 7)
    y: Any = ctx.module(
        _BATCH_NORM[rank],
        weights["running_mean"].array.size,
        eps=epsilon,
        momentum=new_share,
        affine=affine,
        weights=weights,
    )(x)
    if trains_with_stored_statistics(ctx.node):
        ctx.net.fixed_statistics[str(y.node.target)] = None
    if scaled_after:  # nn.BatchNorm2d has a scale and a bias or neither
        assert isinstance(scale, Initializer)
        y = y * ctx.tensor(scale.reshape(-1, *(1,) * (rank - 2)))
    return cast(Tensor, y)


def _is_learned(parameter: Initializer, kind: str) -> bool:
    """Whether a scale or bias is a weight of the net; where the model does not say, whether it matters."""
    if parameter.is_weight is not None:
        return parameter.is_weight
    return not _is_constant(parameter, 1 if kind == "weight" else 0)


def _is_constant(parameter: Initializer, value: float) -> bool:
    return bool((parameter.array == value).all())


@operator("InstanceNormalization")
def instance_normalization(
    ctx: Context, x: Tensor, scale: Stored, bias: Stored, *, epsilon: float = 1e-5
) -> Tensor:
    """Normalizes each plane with its mean and variance, then applies a scale and bias per channel."""
    shape = ctx.shape(x) or ()
    rank = len(shape)
    if rank > 2 and all(size == 1 for size in shape[2:]):
        ctx.unsupported("PyTorch refuses to normalize planes of a single element")
    if isinstance(scale, Initializer) and isinstance(bias, Initializer) and rank in _INSTANCE_NORM:
        weights = {"weight": scale, "bias": bias}
        return ctx.module(_INSTANCE_NORM[rank], scale.array.size, eps=epsilon, affine=True, weights=weights)(
            x
        )
    return F.instance_norm(x, weight=ctx.tensor(scale), bias=ctx.tensor(bias), eps=epsilon)


@operator("LayerNormalization")
def layer_normalization(
    ctx: Context,
    x: Tensor,
    scale: Stored,
    bias: Stored | None = None,
    *,
    axis: int = -1,
    epsilon: float = 1e-5,
    stash_type: int = 1,
) -> Tensor:
    """Normalizes over the axes from `axis` on, then applies scale and bias."""
    if ctx.is_used(1) or ctx.is_used(2):
        ctx.unsupported("its second and third outputs have no PyTorch form")
    shape = ctx.shape(scale)
    last = -axis if axis < 0 else ctx.rank(x) - axis
    if shape is None or None in shape or len(shape) != last:
        ctx.unsupported("the shape of its scale must be known beforehand and cover the normalized axes")
    sizes = [size for size in shape if size is not None]
    if isinstance(scale, Initializer) and isinstance(bias, Initializer | None):
        weights = {"weight": scale} if bias is None else {"weight": scale, "bias": bias}
        return ctx.module(nn.LayerNorm, sizes, eps=epsilon, bias=bias is not None, weights=weights)(x)
    return F.layer_norm(x, sizes, ctx.tensor(scale), ctx.tensor(bias), epsilon)


@operator("LRN")
def lrn(
    ctx: Context, x: Tensor, *, size: int, alpha: float = 1e-4, beta: float = 0.75, bias: float = 1.0
) -> Tensor:
    """x / (bias + alpha / size * sum of squares over neighbouring channels) ** beta."""
    if size % 2:
        return ctx.module(nn.LocalResponseNorm, size, alpha=alpha, beta=beta, k=bias)(x)
    # In an even window, ONNX has one channel more after the centre, torch before it.
    return torch.flip(F.local_response_norm(torch.flip(x, (1,)), size, alpha, beta, bias), (1,))


@operator("LpNormalization")
def lp_normalization(ctx: Context, x: Tensor, *, axis: int = -1, p: int = 2) -> Tensor:
    """x divided by its p-norm along an axis; 0 where the norm is 0."""
    norm = x.abs().sum(axis, keepdim=True) if p == 1 else x.square().sum(axis, keepdim=True).sqrt()
    return torch.where(norm == 0, 0.0, x / norm)


@operator("MeanVarianceNormalization")
def mean_variance_normalization(ctx: Context, x: Tensor, *, axes: list[int] | None = None) -> Tensor:
    """(x - mean) / (standard deviation + 1e-9) over the axes."""
    dims = [0, 2, 3] if axes is None else axes
    centred = x - x.mean(dims, keepdim=True)
    return centred / (centred.square().mean(dims, keepdim=True).sqrt() + 1e-9)
