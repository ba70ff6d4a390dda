"""Resize."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from converters.to_pytorch.context import Context, Shape
from converters.to_pytorch.helpers import resizing as helpers
from converters.to_pytorch.operators.windows import plain
from converters.to_pytorch.registry import operator

_LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}


@operator("Resize")
def resize(
    ctx: Context,
    x: Tensor,
    roi: np.ndarray | None = None,
    scales: np.ndarray | None = None,
    sizes: np.ndarray | None = None,
    *,
    antialias: int = 0,
    axes: list[int] | None = None,
    coordinate_transformation_mode: str = "half_pixel",
    cubic_coeff_a: float = -0.75,
    exclude_outside: int = 0,
    extrapolation_value: float = 0.0,
    keep_aspect_ratio_policy: str = "stretch",
    mode: str = "nearest",
    nearest_mode: str = "round_prefer_floor",
) -> Tensor:
    """F.interpolate where it samples the same points, else axis by axis at the points ONNX defines."""
    coordinates = coordinate_transformation_mode
    if antialias or keep_aspect_ratio_policy != "stretch" or coordinates == "tf_crop_and_resize":
        ctx.unsupported("antialias, keep_aspect_ratio_policy and tf_crop_and_resize are not known in PyTorch")
    if mode == "cubic" and (exclude_outside or cubic_coeff_a != -0.75):
        ctx.unsupported("cubic interpolation is known with all neighbours and the coefficient -0.75 only")
    steps = _steps(ctx, x, scales, sizes, axes)
    if not steps:
        return x
    how = _interpolate(ctx.shape(x) or (), steps, mode, coordinates, nearest_mode)
    if how is not None:
        return F.interpolate(x, **how)
    for axis, step in steps.items():
        points = ctx.call(helpers.source_points, step.have, step.size, step.scale, coordinates)
        if mode == "nearest":
            x = ctx.call(helpers.resize_nearest, x, axis, points, nearest_mode)
        else:
            x = ctx.call(helpers.resize_linear if mode == "linear" else helpers.resize_cubic, x, axis, points)
    return x


@dataclass(frozen=True)
class Step:
    """One axis from size `have` to `size`, sampled in steps of 1 / `scale`."""

    have: int
    size: int
    scale: float


def _steps(
    ctx: Context, x: Tensor, scales: np.ndarray | None, sizes: np.ndarray | None, axes: list[int] | None
) -> dict[int, Step]:
    """The axes that are resized."""
    shape, result = ctx.shape(x), ctx.output_shape()
    by_scale = scales is not None and scales.size > 0
    given = scales if by_scale else sizes
    if given is None or shape is None:
        ctx.unsupported("scales or sizes, and the shape of its input, must be known beforehand")
    steps = {}
    for axis, wanted in zip(range(len(shape)) if axes is None else axes, given.tolist(), strict=True):
        axis %= len(shape)
        have, size = shape[axis], wanted
        if by_scale:
            size = result[axis] if result is not None else None
        if wanted == (1.0 if by_scale else have):
            continue
        if have is None or not isinstance(size, int):
            ctx.unsupported(f"the size of axis {axis} must be known beforehand")
        steps[axis] = Step(have, size, wanted if by_scale else size / have)
    return steps


def _interpolate(
    shape: Shape, steps: dict[int, Step], mode: str, coordinates: str, rounding: str
) -> dict[str, Any] | None:
    """The arguments of F.interpolate that sample the same points, None if there are none."""
    rank = len(shape)
    if (
        not 3 <= rank <= 5
        or min(steps) < 2
        or any(step.size != step.have * step.scale for step in steps.values())
    ):
        return None
    sampling = _sampling(rank - 2, steps, mode, coordinates, rounding)
    factors = {step.scale for step in steps.values()}
    sizes = [steps[axis].size if axis in steps else shape[axis] for axis in range(2, rank)]
    if sampling is None or None in sizes:
        return None
    if len(steps) == rank - 2 and len(factors) == 1 and (factor := factors.pop()).is_integer():
        return {"scale_factor": int(factor), **sampling}
    return {"size": plain([size for size in sizes if size is not None]), **sampling}


def _sampling(
    rank: int, steps: dict[int, Step], mode: str, coordinates: str, rounding: str
) -> dict[str, Any] | None:
    if mode == "nearest":
        # With whole factors nothing depends on how the division is rounded.
        whole = all(max(s.have, s.size) % min(s.have, s.size) == 0 for s in steps.values())
        names = {("asymmetric", "floor"): "nearest", ("half_pixel", "round_prefer_ceil"): "nearest-exact"}
        name = names.get((coordinates, rounding)) if whole else None
        return {"mode": name} if name is not None else None
    if coordinates == "pytorch_half_pixel" and all(step.size > 1 for step in steps.values()):
        coordinates = "half_pixel"
    name = _LINEAR[rank] if mode == "linear" else "bicubic" if rank == 2 else None
    if name is None or coordinates not in ("half_pixel", "align_corners"):
        return None
    return {"mode": name, "align_corners": True} if coordinates == "align_corners" else {"mode": name}
