"""Sampling on grids and in regions of interest, and non-maximum suppression."""

from __future__ import annotations

import numpy as np
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from converters.to_pytorch.context import Context
from converters.to_pytorch.generated_net import number
from converters.to_pytorch.helpers import regions as helpers
from converters.to_pytorch.registry import operator


@operator("GridSample")
def grid_sample(
    ctx: Context,
    x: Tensor,
    grid: Tensor,
    *,
    align_corners: int = 0,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
) -> Tensor:
    """x interpolated at the points of a grid, with coordinates from -1 to 1."""
    names = {"linear": "bilinear", "cubic": "bicubic"}
    return F.grid_sample(x, grid, names.get(mode, mode), padding_mode, bool(align_corners))


@operator("MaxRoiPool")
def max_roi_pool(
    ctx: Context, x: Tensor, rois: Tensor, *, pooled_shape: list[int], spatial_scale: float = 1.0
) -> Tensor:
    """Maxima over the bins of each region (image, x1, y1, x2, y2), as in Fast R-CNN."""
    result: Tensor = ctx.call(helpers.max_roi_pool, x, rois, tuple(pooled_shape), scale=spatial_scale)
    return result


@operator("RoiAlign")
def roi_align(
    ctx: Context,
    x: Tensor,
    rois: Tensor,
    batch_indices: Tensor,
    *,
    coordinate_transformation_mode: str | None = None,
    mode: str = "avg",
    output_height: int = 1,
    output_width: int = 1,
    sampling_ratio: int = 0,
    spatial_scale: float = 1.0,
) -> Tensor:
    """Means of bilinear samples over the bins of each region (x1, y1, x2, y2)."""
    if coordinate_transformation_mode is None:
        # Opset 16 introduced the attribute; before it, coordinates were not shifted by half a pixel.
        graph = ctx.node.graph
        old = graph is not None and graph.opset_imports[""] < 16
        coordinate_transformation_mode = "output_half_pixel" if old else "half_pixel"
    if mode != "avg":
        ctx.unsupported("mode='max' is defined differently by the specification and by ONNX Runtime")
    result: Tensor = ctx.call(
        helpers.roi_align,
        x,
        rois,
        batch_indices,
        (output_height, output_width),
        samples=sampling_ratio,
        scale=spatial_scale,
        half_pixel=coordinate_transformation_mode == "half_pixel",
    )
    return result


@operator("NonMaxSuppression")
def non_max_suppression(
    ctx: Context,
    boxes: Tensor,
    scores: Tensor,
    max_output_boxes_per_class: np.ndarray | None = None,
    iou_threshold: np.ndarray | None = None,
    score_threshold: np.ndarray | None = None,
    *,
    center_point_box: int = 0,
) -> Tensor:
    """Rows (image, class, box): the boxes that no better box of the same class overlaps too much."""
    limit = 0 if max_output_boxes_per_class is None else max_output_boxes_per_class.reshape(()).item()
    overlap = 0.0 if iou_threshold is None else number(iou_threshold)
    least = None if score_threshold is None else number(score_threshold)
    result: Tensor = ctx.call(
        helpers.non_max_suppression,
        boxes,
        scores,
        limit=limit,
        overlap=overlap,
        least=least,
        centred=bool(center_point_box),
    )
    return result
