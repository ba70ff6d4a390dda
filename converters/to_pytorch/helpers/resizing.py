"""Resizing along one axis, with the points as ONNX defines them."""

from __future__ import annotations

import torch


def source_points(have: int, size: int, scale: float, coordinates: str) -> torch.Tensor:
    """Where each of `size` elements lies in an axis of `have`, in float32."""
    place = torch.arange(size, dtype=torch.float32)
    if coordinates == "asymmetric":
        return place / scale
    if coordinates == "align_corners":
        return place * (have - 1) / max(size - 1, 1)
    if coordinates == "pytorch_half_pixel" and size == 1:
        return place
    points = (place + 0.5) / scale - 0.5
    if coordinates == "half_pixel_symmetric":
        points = points + have / 2 * (1 - size / (scale * have))
    return points


def resize_nearest(
    x: torch.Tensor, axis: int, points: torch.Tensor, rounding: str
) -> torch.Tensor:
    """The nearest element to each point."""
    if rounding == "round_prefer_floor":
        nearest = torch.ceil(points - 0.5)
    elif rounding == "round_prefer_ceil":
        nearest = torch.floor(points + 0.5)
    else:
        nearest = torch.floor(points) if rounding == "floor" else torch.ceil(points)
    index = nearest.long().clamp(0, x.shape[axis] - 1)
    return x.index_select(axis, index.to(x.device))


def resize_linear(x: torch.Tensor, axis: int, points: torch.Tensor) -> torch.Tensor:
    """The linear interpolation between the two neighbours of each point."""
    last = x.shape[axis] - 1
    points = points.to(x.device).clamp(0, last)
    low = points.long()
    weight = (points - low).reshape(-1, *[1] * (x.dim() - 1 - axis))
    right = x.index_select(axis, (low + 1).clamp(max=last))
    return x.index_select(axis, low) * (1 - weight) + right * weight


def resize_cubic(x: torch.Tensor, axis: int, points: torch.Tensor) -> torch.Tensor:
    """The cubic convolution (a = -0.75) of the four neighbours of each point."""
    points = points.to(x.device)
    floor = points.floor()
    t = (points - floor).reshape(-1, *[1] * (x.dim() - 1 - axis))
    a = -0.75
    weights = [
        ((a * (t + 1) - 5 * a) * (t + 1) + 8 * a) * (t + 1) - 4 * a,
        ((a + 2) * t - (a + 3)) * t * t + 1,
        ((a + 2) * (1 - t) - (a + 3)) * (1 - t) * (1 - t) + 1,
        ((a * (2 - t) - 5 * a) * (2 - t) + 8 * a) * (2 - t) - 4 * a,
    ]
    total = torch.zeros_like(x.index_select(axis, torch.zeros_like(points).long()))
    for k, weight in enumerate(weights):
        index = (floor.long() + k - 1).clamp(0, x.shape[axis] - 1)
        total = total + x.index_select(axis, index) * weight
    return total
