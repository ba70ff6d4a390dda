"""Layers that compute, in each of several processes, what one process computes for the whole batch.

Dropout draws the mask of the whole batch and takes its share; batch normalisation uses the statistics of the
whole batch. So the number of processes changes no result but for rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

_CHANNELS = (nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)


@dataclass
class Share:
    """The part of the current batch that this process has: `count` images from `first` on, of `size`."""

    first: int = 0
    count: int = 0
    size: int = 0


class _SharedDropout:
    """Dropout whose random numbers do not depend on the number of processes."""

    share: Share
    p: float
    training: bool
    whole_channels: bool

    def forward(self, x: Tensor) -> Tensor:
        """x with each value, or each channel, zero with probability p, and the others divided by 1 - p."""
        if not self.training or self.p == 0:
            return x
        share = self.share
        shape = list(x.shape)
        if shape[0] == share.count:
            shape[0] = share.size
        if self.whole_channels:
            shape[2:] = [1] * (len(shape) - 2)
        noise = torch.empty(shape, dtype=x.dtype, device=x.device).bernoulli_(1 - self.p)
        if shape[0] == share.size and share.count != share.size:
            noise = noise[share.first : share.first + share.count]
        return x * noise.div_(1 - self.p) if self.p < 1 else x * noise


class _SharedBatchNorm:
    """Batch normalisation with the statistics of the batch of all processes."""

    training: bool
    momentum: float
    eps: float
    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor
    weight: Tensor | None
    bias: Tensor | None

    def forward(self, x: Tensor) -> Tensor:
        """Scaled and shifted (x - mean) / sqrt(variance + eps); in training also updates the statistics."""
        if not self.training:
            return super().forward(x)  # type: ignore[misc,no-any-return]
        from torch.distributed.nn import functional

        axes = [0, *range(2, x.ndim)]
        shape = [1, -1, *[1] * (x.ndim - 2)]
        values = x.float()
        own = torch.tensor([x.numel() / x.shape[1]], device=x.device)
        all_reduce: Callable[[Tensor], Tensor] = functional.all_reduce
        sums = all_reduce(torch.cat([values.sum(axes), own]))
        count = sums[-1].detach()
        mean = sums[:-1] / count
        centred = values - mean.reshape(shape)
        variance = all_reduce(centred.square().sum(axes)) / count
        with torch.no_grad():
            self.num_batches_tracked += 1
            unbiased = variance * count / (count - 1).clamp(min=1)
            self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
            self.running_var.lerp_(unbiased.to(self.running_var.dtype), self.momentum)
        y = centred * torch.rsqrt(variance + self.eps).reshape(shape)
        if self.weight is not None and self.bias is not None:
            y = y * self.weight.reshape(shape) + self.bias.reshape(shape)
        result: Tensor = y.to(x.dtype)
        return result


def share_layers(net: nn.Module, share: Share, *, processes: int) -> None:
    """Makes the dropout, and with several processes the batch normalisation, of a net those of the batch."""
    for module in list(net.modules()):
        if type(module) in (nn.Dropout, *_CHANNELS):
            _become(module, _SharedDropout)
            settings: Any = module
            settings.share, settings.whole_channels = share, isinstance(module, _CHANNELS)
        elif processes > 1 and isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
            _become(module, _SharedBatchNorm)


def _become(module: nn.Module, mixin: type) -> None:
    kind = type(module)
    module.__class__ = type(kind.__name__, (mixin, kind), {})


class MovingAverages:
    """The share that new statistics of batch normalisation have, in a net that starts from nothing.

    Caffe divides its moving sums by a sum of weights, so that they are averages from the first batch on.
    Torch has a fixed share instead, so the share is set before each step: (1 - f) / (1 - f^t) at step t,
    counted from 1, where f is the fraction that is kept.
    """

    def __init__(self, net: nn.Module) -> None:
        norms = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
        self._norms = [(m, m.momentum) for m in net.modules() if isinstance(m, norms) and m.momentum]

    def before_step(self, step: int) -> None:
        """Set the shares of step number `step`, counted from 1 over the whole training."""
        for module, share in self._norms:
            assert share is not None
            module.momentum = share / (1 - (1 - share) ** step)
