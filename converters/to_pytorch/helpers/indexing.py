"""Indexing as ONNX defines it."""

from __future__ import annotations

import torch


def from_beginning(indices: torch.Tensor, size: int) -> torch.Tensor:
    """Negative indices, which count from the end, as positive ones."""
    return torch.where(indices < 0, indices + size, indices)


def gather_nd(
    x: torch.Tensor, indices: torch.Tensor, batch_dims: int = 0
) -> torch.Tensor:
    """Slices of x at the index tuples along the last axis of indices."""
    batch = x.shape[:batch_dims]
    x = x.flatten(0, batch_dims - 1) if batch_dims else x[None]
    tuples = indices.reshape(x.shape[0], -1, indices.shape[-1])
    rows = torch.arange(x.shape[0], device=x.device)[:, None]
    found = x[(rows, *tuples.unbind(-1))]
    return found.reshape(batch + indices.shape[batch_dims:-1] + found.shape[2:])


def scatter_nd(
    x: torch.Tensor, indices: torch.Tensor, updates: torch.Tensor, add: bool = False
) -> torch.Tensor:
    """x with the slices at the index tuples replaced by the updates, or increased."""
    return x.index_put(indices.unbind(-1), updates, accumulate=add)


def one_hot(
    indices: torch.Tensor, depth: int, values: torch.Tensor, axis: int = -1
) -> torch.Tensor:
    """A new axis with values[1] at each index and values[0] elsewhere."""
    classes = torch.arange(depth, device=indices.device)
    wrapped = torch.where(indices < 0, indices + depth, indices)
    hit = (wrapped.unsqueeze(-1) == classes).movedim(-1, axis)
    return torch.where(hit, values[1], values[0])
