"""Averages without the padding, and positions in the whole tensor, as in ONNX."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812


def average_pool(
    x: torch.Tensor,
    kernel_size: int | tuple[int, ...],
    stride: int | tuple[int, ...],
    padding: tuple[int, ...],
) -> torch.Tensor:
    """The mean of what lies in each window, not counting the padding."""
    pool = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[x.dim() - 3]
    inside = F.pad(torch.ones_like(x[:1, :1]), padding)
    total = pool(F.pad(x, padding), kernel_size, stride)
    return total / pool(inside, kernel_size, stride)


def across_planes(positions: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Positions within each plane of x as positions in all of x, flattened."""
    planes = x.shape[0] * x.shape[1]
    first = torch.arange(planes, device=x.device) * (x.numel() // planes)
    return positions + first.reshape(x.shape[:2] + (1,) * (x.dim() - 2))


def without_padding(
    positions: torch.Tensor, x: torch.Tensor, padding: tuple[int, ...]
) -> torch.Tensor:
    """Positions in the planes of F.pad(x, padding) as positions in those of x."""
    result, scale = torch.zeros_like(positions), 1
    for k in range(x.dim() - 2):
        size = x.shape[-1 - k]
        padded = size + padding[2 * k] + padding[2 * k + 1]
        result = result + (positions % padded - padding[2 * k]) * scale
        positions, scale = positions // padded, scale * size
    return result


def max_unpool(
    x: torch.Tensor, indices: torch.Tensor, sizes: list[int]
) -> torch.Tensor:
    """The values of x at these positions of a flattened zero tensor (N, C, *sizes)."""
    result = x.new_zeros((x.shape[0], x.shape[1], *sizes))
    return result.flatten().scatter(0, indices.flatten(), x.flatten()).view_as(result)
