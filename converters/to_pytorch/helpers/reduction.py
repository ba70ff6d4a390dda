"""Reductions that torch has no single function for."""

from __future__ import annotations

import torch


def exclusive_cumsum(x: torch.Tensor, axis: int) -> torch.Tensor:
    """Running sums that leave out the element itself."""
    first = torch.zeros_like(x.narrow(axis, 0, 1))
    return torch.cat([first, x.narrow(axis, 0, x.shape[axis] - 1)], axis).cumsum(axis)
