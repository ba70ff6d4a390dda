"""Resize."""

from __future__ import annotations

import operator as python
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from converters.to_pytorch.context import Context
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
    how = _interpolate(ctx, x, steps, mode, coordinates, nearest_mode)
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
    """One axis from size `have` to `size`, sampled in steps of 1 / `scale`; expressions at run time."""

    have: Any
    size: Any
    scale: Any

    @property
    def known(self) -> bool:
        """Whether both sizes are known beforehand."""
        return isinstance(self.have, int) and isinstance(self.size, int)

    @property
    def factor(self) -> int | None:
        """By how much the axis grows, if that is a whole number known beforehand."""
        return int(self.scale) if isinstance(self.scale, float) and self.scale.is_integer() else None


def _steps(
    ctx: Context, x: Tensor, scales: np.ndarray | None, sizes: np.ndarray | None, axes: list[int] | None
) -> dict[int, Step]:
    """The axes that are resized."""
    shape, result, rank = ctx.shape(x) or (), ctx.output_shape() or (), ctx.rank(x)
    by_scale = scales is not None and scales.size > 0
    given = scales if by_scale else sizes
    if given is None:
        ctx.unsupported("neither scales nor sizes are given")
    steps = {}
    for axis, wanted in zip(range(rank) if axes is None else axes, given.tolist(), strict=True):
        axis %= rank
        same = 1.0 if by_scale else shape[axis]
        if wanted == same if isinstance(wanted, int | float) else _is_size(wanted, x, axis):
            continue
        have: Any = x.shape[axis] if shape[axis] is None else shape[axis]
        if not by_scale:
            steps[axis] = Step(have, wanted, wanted / have)
            continue
        size: Any = result[axis] if axis < len(result) else None
        if size is None and not wanted.is_integer():
            ctx.unsupported(f"the size of axis {axis} must be known beforehand to be scaled by {wanted:g}")
        steps[axis] = Step(have, have * int(wanted) if size is None else size, wanted)
    return steps


def _is_size(wanted: Any, x: Any, axis: int) -> bool:  # noqa: ANN401
    """Whether an expression is `x.shape[axis]`."""
    node = wanted.node
    if node.target is not python.getitem or node.args[1] != axis:
        return False
    return node.args[0].target is getattr and node.args[0].args == (x.node, "shape")


def _interpolate(
    ctx: Context, x: Tensor, steps: dict[int, Step], mode: str, coordinates: str, rounding: str
) -> dict[str, Any] | None:
    """The arguments of F.interpolate that sample the same points, None if there are none."""
    shape, rank = ctx.shape(x) or (), ctx.rank(x)
    cut = any(step.known and step.size != step.have * step.scale for step in steps.values())
    if not 3 <= rank <= 5 or min(steps) < 2 or cut:
        return None
    sampling = _sampling(rank - 2, steps, mode, coordinates, rounding)
    if sampling is None:
        return None
    factors = [steps[axis].factor if axis in steps else 1 for axis in range(2, rank)]
    open_ended = not all(step.known for step in steps.values())
    if None not in factors and (open_ended or len(set(factors)) == 1):
        return {"scale_factor": plain([factor or 1 for factor in factors]), **sampling}
    sizes = [x.shape[axis] if size is None else size for axis, size in enumerate(shape)]
    wanted = [steps[axis].size if axis in steps else sizes[axis] for axis in range(2, rank)]
    return {"size": plain(wanted) if not open_ended else tuple(wanted), **sampling}


def _sampling(
    rank: int, steps: dict[int, Step], mode: str, coordinates: str, rounding: str
) -> dict[str, Any] | None:
    if mode == "nearest":
        # With whole factors nothing depends on how the division is rounded.
        whole = all(
            s.factor is not None or (s.known and max(s.have, s.size) % min(s.have, s.size) == 0)
            for s in steps.values()
        )
        names = {("asymmetric", "floor"): "nearest", ("half_pixel", "round_prefer_ceil"): "nearest-exact"}
        name = names.get((coordinates, rounding)) if whole else None
        return {"mode": name} if name is not None else None
    if coordinates == "pytorch_half_pixel" and all(s.known and s.size > 1 for s in steps.values()):
        coordinates = "half_pixel"
    name = _LINEAR[rank] if mode == "linear" else "bicubic" if rank == 2 else None
    if name is None or coordinates not in ("half_pixel", "align_corners"):
        return None
    return {"mode": name, "align_corners": True} if coordinates == "align_corners" else {"mode": name}
