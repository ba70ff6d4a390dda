"""Tensor manipulation for which torch has no single function."""

from __future__ import annotations

import torch


def broadcast_to(x: torch.Tensor, shape: torch.Tensor) -> torch.Tensor:
    """x broadcast against a shape that is computed; 1 leaves an axis as it is."""
    sizes = shape.tolist()
    sizes = [1] * (x.dim() - len(sizes)) + sizes
    x = x.reshape((1,) * (len(sizes) - x.dim()) + x.shape)
    return x.expand([-1 if size == 1 else size for size in sizes])


def reshape_to(x: torch.Tensor, shape: torch.Tensor) -> torch.Tensor:
    """x in a shape that is computed; 0 copies a size."""
    sizes = shape.tolist()
    return x.reshape([size or x.shape[axis] for axis, size in enumerate(sizes)])


def depth_to_space(x: torch.Tensor, block: int) -> torch.Tensor:
    """(N, block * block * C, H, W) to (N, C, H * block, W * block)."""
    n, c, h, w = x.shape
    c = c // block**2
    x = x.reshape(n, block, block, c, h, w).permute(0, 3, 4, 1, 5, 2)
    return x.reshape(n, c, h * block, w * block)


def space_to_depth(x: torch.Tensor, block: int) -> torch.Tensor:
    """(N, C, H * block, W * block) to (N, block * block * C, H, W)."""
    n, c, h, w = x.shape
    x = x.reshape(n, c, h // block, block, w // block, block)
    x = x.permute(0, 3, 5, 1, 2, 4)
    return x.reshape(n, c * block**2, h // block, w // block)


def reverse_sequence(
    x: torch.Tensor, lengths: torch.Tensor, time_axis: int
) -> torch.Tensor:
    """The first lengths[n] steps of item n back to front, the others as they are."""
    x = x.movedim(time_axis, 0)
    step = torch.arange(x.shape[0], device=x.device)[:, None]
    source = torch.where(step < lengths, lengths - 1 - step, step)
    item = torch.arange(x.shape[1], device=x.device)
    return x[source, item].movedim(0, time_axis)
