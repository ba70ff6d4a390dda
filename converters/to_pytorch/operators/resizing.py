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
from converters.to_pytorch.operators.sliding_window import scalar_if_equal
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
    """F.interpolate if it samples the same points, else one axis after the other as ONNX defines them."""
    coordinates = coordinate_transformation_mode
    if antialias or keep_aspect_ratio_policy != "stretch" or coordinates == "tf_crop_and_resize":
        ctx.unsupported(
            "PyTorch has no antialias, keep_aspect_ratio_policy or tf_crop_and_resize as ONNX defines them"
        )
    if mode == "cubic" and (exclude_outside or cubic_coeff_a != -0.75):
        ctx.unsupported("PyTorch has cubic interpolation only with all neighbours and the coefficient -0.75")
    resized = _resized_axes(ctx, x, scales, sizes, axes)
    if not resized:
        return x
    arguments = _interpolate_arguments(ctx, x, resized, mode, coordinates, nearest_mode)
    if arguments is not None:
        return F.interpolate(x, **arguments)
    for axis, r in resized.items():
        points = ctx.call(helpers.source_points, r.input_size, r.output_size, r.scale, coordinates)
        if mode == "nearest":
            x = ctx.call(helpers.resize_nearest, x, axis, points, nearest_mode)
        else:
            x = ctx.call(helpers.resize_linear if mode == "linear" else helpers.resize_cubic, x, axis, points)
    return x


@dataclass(frozen=True)
class ResizedAxis:
    """An axis that is resized, sampled in steps of 1 / scale. Sizes unknown at conversion are expressions."""

    input_size: Any
    output_size: Any
    scale: Any

    @property
    def is_static(self) -> bool:
        """Whether both sizes are known at conversion."""
        return isinstance(self.input_size, int) and isinstance(self.output_size, int)

    @property
    def factor(self) -> int | None:
        """The scale, if it is a whole number known at conversion."""
        return int(self.scale) if isinstance(self.scale, float) and self.scale.is_integer() else None


def _resized_axes(
    ctx: Context, x: Tensor, scales: np.ndarray | None, sizes: np.ndarray | None, axes: list[int] | None
) -> dict[int, ResizedAxis]:
    """The axes whose size changes, by their number."""
    shape, result, rank = ctx.shape(x) or (), ctx.output_shape() or (), ctx.rank(x)
    by_scale = scales is not None and scales.size > 0
    given = scales if by_scale else sizes
    if given is None:
        ctx.unsupported("neither scales nor sizes are given")
    resized: dict[int, ResizedAxis] = {}
    for axis, wanted in zip(range(rank) if axes is None else axes, given.tolist(), strict=True):
        axis %= rank
        unchanged = 1.0 if by_scale else shape[axis]
        if wanted == unchanged if isinstance(wanted, int | float) else _is_size_of(wanted, x, axis):
            continue
        size: Any = x.shape[axis] if shape[axis] is None else shape[axis]
        if not by_scale:
            resized[axis] = ResizedAxis(size, wanted, wanted / size)
            continue
        output_size: Any = result[axis] if axis < len(result) else None
        if output_size is None and not wanted.is_integer():
            ctx.unsupported(f"the size of axis {axis} must be known beforehand to be scaled by {wanted:g}")
        resized[axis] = ResizedAxis(size, size * int(wanted) if output_size is None else output_size, wanted)
    return resized


def _is_size_of(wanted: Any, x: Any, axis: int) -> bool:  # noqa: ANN401
    """Whether an expression is `x.shape[axis]`."""
    node = wanted.node
    if node.target is not python.getitem or node.args[1] != axis:
        return False
    return node.args[0].target is getattr and node.args[0].args == (x.node, "shape")


def _interpolate_arguments(
    ctx: Context, x: Tensor, resized: dict[int, ResizedAxis], mode: str, coordinates: str, rounding: str
) -> dict[str, Any] | None:
    """The arguments with which F.interpolate samples the same points; None if there are none."""
    shape, rank = ctx.shape(x) or (), ctx.rank(x)
    rounded = any(r.is_static and r.output_size != r.input_size * r.scale for r in resized.values())
    if not 3 <= rank <= 5 or min(resized) < 2 or rounded:
        return None
    sampling = _sampling(rank - 2, resized, mode, coordinates, rounding)
    if sampling is None:
        return None
    factors = [resized[axis].factor if axis in resized else 1 for axis in range(2, rank)]
    is_static = all(r.is_static for r in resized.values())
    if None not in factors and (not is_static or len(set(factors)) == 1):
        return {"scale_factor": scalar_if_equal([factor or 1 for factor in factors]), **sampling}
    sizes = [x.shape[axis] if size is None else size for axis, size in enumerate(shape)]
    wanted = [resized[axis].output_size if axis in resized else sizes[axis] for axis in range(2, rank)]
    return {"size": scalar_if_equal(wanted) if is_static else tuple(wanted), **sampling}


def _sampling(
    rank: int, resized: dict[int, ResizedAxis], mode: str, coordinates: str, rounding: str
) -> dict[str, Any] | None:
    if mode == "nearest":
        # With a whole factor, up or down, the rounding of a division cannot change the nearest element.
        whole = all(
            r.factor is not None
            or (r.is_static and max(r.input_size, r.output_size) % min(r.input_size, r.output_size) == 0)
            for r in resized.values()
        )
        names = {("asymmetric", "floor"): "nearest", ("half_pixel", "round_prefer_ceil"): "nearest-exact"}
        name = names.get((coordinates, rounding)) if whole else None
        return {"mode": name} if name is not None else None
    if coordinates == "pytorch_half_pixel" and all(
        r.is_static and r.output_size > 1 for r in resized.values()
    ):
        coordinates = "half_pixel"
    name = _LINEAR[rank] if mode == "linear" else "bicubic" if rank == 2 else None
    if name is None or coordinates not in ("half_pixel", "align_corners"):
        return None
    return {"mode": name, "align_corners": True} if coordinates == "align_corners" else {"mode": name}
