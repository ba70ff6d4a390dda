"""Regions of interest and non-maximum suppression, as ONNX defines them."""

from __future__ import annotations

import torch


def max_roi_pool(
    x: torch.Tensor, rois: torch.Tensor, size: tuple[int, int], scale: float = 1.0
) -> torch.Tensor:
    """The maxima of (height, width) bins over each region; 0 for empty bins."""
    pooled = []
    for roi in rois:
        corners = (roi[1:] * scale).abs().add(0.5).floor() * roi[1:].sign()
        x1, y1, x2, y2 = corners.tolist()
        plane = x[int(roi[0])]
        plane = max_of_bins(plane, 1, y1, max(y2 - y1 + 1, 1.0), size[0])
        pooled.append(max_of_bins(plane, 2, x1, max(x2 - x1 + 1, 1.0), size[1]))
    return torch.stack(pooled) if pooled else x.new_zeros((0, x.shape[1], *size))


def max_of_bins(
    x: torch.Tensor, axis: int, start: float, length: float, bins: int
) -> torch.Tensor:
    """The maxima along an axis of overlapping bins from `start` on."""
    step = torch.tensor(length) / bins
    edges = torch.arange(bins + 1) * step
    low = (edges[:-1].floor() + start).clamp(0, x.shape[axis]).long().tolist()
    high = (edges[1:].ceil() + start).clamp(0, x.shape[axis]).long().tolist()
    empty = torch.zeros_like(x.select(axis, 0))
    found = [
        x.narrow(axis, a, b - a).amax(axis) if b > a else empty
        for a, b in zip(low, high, strict=True)
    ]
    return torch.stack(found, axis)


def roi_align(
    x: torch.Tensor,
    rois: torch.Tensor,
    images: torch.Tensor,
    size: tuple[int, int],
    samples: int = 0,
    scale: float = 1.0,
    half_pixel: bool = True,
) -> torch.Tensor:
    """The mean of samples x samples points in each bin of each region.

    With samples = 0 there is one sample for each pixel that a bin covers.
    """
    pooled = []
    rois = rois * scale - (0.5 if half_pixel else 0.0)
    for roi, image in zip(rois, images, strict=True):
        extent = roi[2:] - roi[:2]
        if not half_pixel:
            extent = extent.clamp(min=1.0)
        plane = x[int(image)]
        plane = mean_of_samples(plane, 2, roi[0], extent[0], size[1], samples)
        plane = mean_of_samples(plane, 1, roi[1], extent[1], size[0], samples)
        pooled.append(plane)
    return torch.stack(pooled) if pooled else x.new_zeros((0, x.shape[1], *size))


def mean_of_samples(
    x: torch.Tensor,
    axis: int,
    start: torch.Tensor,
    length: torch.Tensor,
    bins: int,
    samples: int,
) -> torch.Tensor:
    """The mean of linear samples in each bin; points more than 1 outside count as 0."""
    count = samples or int(torch.ceil(length / bins))
    if count < 1:
        return torch.zeros_like(x.narrow(axis, 0, 1)).repeat_interleave(bins, axis)
    step = length / bins / count
    points = start + (torch.arange(bins * count, device=x.device) + 0.5) * step
    last = x.shape[axis] - 1
    inside = ((points >= -1) & (points <= last + 1)).to(x.dtype)
    points = points.clamp(0, last)
    low = points.long()
    shape = (1, -1, 1) if axis == 1 else (1, 1, -1)
    weight, inside = (points - low).reshape(shape), inside.reshape(shape)
    left = x.index_select(axis, low)
    right = x.index_select(axis, (low + 1).clamp(max=last))
    sampled = (left * (1 - weight) + right * weight) * inside
    binned = (*x.shape[:axis], bins, count, *x.shape[axis + 1 :])
    return sampled.reshape(binned).mean(axis + 1)


def non_max_suppression(
    boxes: torch.Tensor,
    scores: torch.Tensor,
    limit: int,
    overlap: float,
    least: float | None = None,
    centred: bool = False,
) -> torch.Tensor:
    """Rows (image, class, box), best first, that overlap no better one too much.

    At most `limit` for each image and class, all with scores above `least`.
    """
    rows = []
    for image in range(boxes.shape[0]):
        corners = box_corners(boxes[image], centred)
        for category in range(scores.shape[1]):
            score = scores[image, category]
            order = torch.sort(score, descending=True, stable=True).indices
            if least is not None:
                order = order[score[order] > least]
            taken = 0
            while len(order) and taken < limit:
                best, order = order[0], order[1:]
                place = best.new_tensor([image, category])
                rows.append(torch.cat([place, best[None]]))
                order = order[box_overlap(corners[best], corners[order]) <= overlap]
                taken += 1
    return torch.stack(rows) if rows else scores.new_zeros((0, 3), dtype=torch.int64)


def box_corners(boxes: torch.Tensor, centred: bool) -> torch.Tensor:
    """Boxes as (low, low, high, high), from two corners or from centre and size."""
    first, second = boxes[:, :2], boxes[:, 2:]
    if centred:
        first, second = first - second / 2, first + second / 2
    return torch.cat([torch.minimum(first, second), torch.maximum(first, second)], 1)


def box_overlap(box: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """Intersection over union of a box with others; 0 where an area is empty."""
    low = torch.maximum(box[:2], others[:, :2])
    high = torch.minimum(box[2:], others[:, 2:])
    shared = (high - low).clamp(min=0).prod(1)
    areas = (box[2:] - box[:2]).prod() + (others[:, 2:] - others[:, :2]).prod(1)
    union = areas - shared
    return torch.where(union > 0, shared / union, 0.0)
