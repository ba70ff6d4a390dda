"""Pooling over regions and the choice of regions, region by region.

Values are float64. Where a bin begins and ends is computed in float32, one rounding an operation, because
that is what the layers are defined in: 7 / 3 * 3 is above 7 there, and a bin one pixel longer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from reference_boxes import jaccard, suppress
from reference_resampling import nearest_whole


def roi_pool(x: np.ndarray, rois: np.ndarray, size: tuple[int, int], scale: float) -> np.ndarray:
    """ROIPooling: rows (image, x1, y1, x2, y2)."""
    height, width = x.shape[2:]
    y = np.zeros((len(rois), x.shape[1], *size))
    for r, (image, *corners) in enumerate(rois.astype(np.float32)):
        x1, y1, x2, y2 = (nearest_whole(c * np.float32(scale)) for c in corners)
        bin_h = np.float32(max(y2 - y1 + 1, 1)) / np.float32(size[0])
        bin_w = np.float32(max(x2 - x1 + 1, 1)) / np.float32(size[1])
        for row in range(size[0]):
            for column in range(size[1]):
                top = min(max(math.floor(np.float32(row) * bin_h) + y1, 0), height)
                below = min(max(math.ceil(np.float32(row + 1) * bin_h) + y1, 0), height)
                left = min(max(math.floor(np.float32(column) * bin_w) + x1, 0), width)
                right = min(max(math.ceil(np.float32(column + 1) * bin_w) + x1, 0), width)
                if below > top and right > left:
                    y[r, :, row, column] = x[int(image), :, top:below, left:right].max(axis=(1, 2))
    return y


def position_sensitive_pool(
    x: np.ndarray, rois: np.ndarray, outputs: int, group: int, scale: float
) -> np.ndarray:
    """PSROIPooling: the mean of each bin, from the channel of that output and bin."""
    height, width = x.shape[2:]
    y = np.zeros((len(rois), outputs, group, group))
    for r, (image, *corners) in enumerate(rois.astype(np.float32)):
        x1, y1, x2, y2 = (np.float32(nearest_whole(c)) for c in corners)
        start_x, start_y = x1 * np.float32(scale), y1 * np.float32(scale)
        end_x, end_y = (x2 + np.float32(1)) * np.float32(scale), (y2 + np.float32(1)) * np.float32(scale)
        bin_w = max(end_x - start_x, np.float32(0.1)) / np.float32(group)
        bin_h = max(end_y - start_y, np.float32(0.1)) / np.float32(group)
        for output, row, column in np.ndindex(outputs, group, group):
            top = min(max(math.floor(np.float32(row) * bin_h + start_y), 0), height)
            below = min(max(math.ceil(np.float32(row + 1) * bin_h + start_y), 0), height)
            left = min(max(math.floor(np.float32(column) * bin_w + start_x), 0), width)
            right = min(max(math.ceil(np.float32(column + 1) * bin_w + start_x), 0), width)
            if below > top and right > left:
                channel = (output * group + row) * group + column
                y[r, output, row, column] = x[int(image), channel, top:below, left:right].mean()
    return y


def anchors(base: int, ratios: Sequence[float], scales: Sequence[float]) -> np.ndarray:
    """(ratios * scales, 4) around the middle of the first `base` pixels."""
    boxes = []
    middle = (base - 1) / 2
    for ratio in ratios:
        width = nearest_whole(math.sqrt(base * base / ratio))
        height = nearest_whole(width * ratio)
        for scale in scales:
            w, h = width * scale, height * scale
            boxes.append(
                [
                    middle - (w - 1) / 2,
                    middle - (h - 1) / 2,
                    middle + (w - 1) / 2,
                    middle + (h - 1) / 2,
                ]
            )
    return np.array(boxes)


def proposals(
    scores: np.ndarray,
    deltas: np.ndarray,
    info: Sequence[float],
    shapes: np.ndarray,
    stride: int,
    least: float,
    before: int,
    after: int,
    threshold: float,
) -> tuple[np.ndarray, np.ndarray]:
    """(rows (image, x1, y1, x2, y2), their scores); `shapes` are the anchors of the first place."""
    image_height, image_width = info[:2]
    scale_h, scale_w = info[2], info[3] if len(info) > 3 else info[2]
    count = len(shapes)
    rows, found = [], []
    for n in range(len(scores)):
        boxes, objects = [], []
        for row in range(scores.shape[2]):
            for column in range(scores.shape[3]):
                for k, anchor in enumerate(shapes + stride * np.array([column, row] * 2)):
                    dx, dy, dw, dh = deltas[n, 4 * k : 4 * k + 4, row, column]
                    w, h = anchor[2] - anchor[0] + 1, anchor[3] - anchor[1] + 1
                    x, y = anchor[0] + w / 2 + dx * w, anchor[1] + h / 2 + dy * h
                    w, h = w * math.exp(dw), h * math.exp(dh)
                    box = np.array([x - w / 2, y - h / 2, x + w / 2, y + h / 2])
                    box[0::2] = box[0::2].clip(0, image_width - 1)
                    box[1::2] = box[1::2].clip(0, image_height - 1)
                    large = box[2] - box[0] + 1 >= least * scale_w and box[3] - box[1] + 1 >= least * scale_h
                    boxes.append(box)
                    objects.append(scores[n, count + k, row, column] * large)
        kept = suppress(
            np.array(boxes),
            np.array(objects),
            -math.inf,
            threshold,
            before,
            lambda a, b: jaccard(a, b, pixel=1),
        )
        rows += [[n, *boxes[k]] for k in kept[:after]]
        found += [objects[k] for k in kept[:after]]
    return np.array(rows), np.array(found)
