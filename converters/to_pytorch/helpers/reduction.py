"""Exclusive running sums, which torch does not have."""

from __future__ import annotations

import torch


def shifted(x: torch.Tensor, axis: int) -> torch.Tensor:
    """x moved on by one along an axis, with 0 at the beginning."""
    first = torch.zeros_like(x.narrow(axis, 0, 1))
    return torch.cat([first, x.narrow(axis, 0, x.shape[axis] - 1)], axis)
