"""SSD's and Faster R-CNN's boxes in float64: priors, decoding, choice of detections and of proposals."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


def prior_boxes(
    features: tuple[int, int],
    image: tuple[int, int],
    min_size: list[float],
    max_size: list[float] | None = None,
    aspect_ratio: list[float] | None = None,
    flip: bool = True,
    clip: bool = False,
    variance: list[float] | None = None,
    step: tuple[float, float] | None = None,
    offset: float = 0.5,
) -> np.ndarray:
    """(1, 2, 4 * boxes) for a feature map and an image of these (height, width); step: (h, w)."""
    height, width = features
    img_height, img_width = image
    step_h, step_w = step or (img_height / height, img_width / width)
    ratios: list[float] = []
    for ratio in aspect_ratio or []:
        if not any(abs(ratio - known) < 1e-6 for known in [1.0, *ratios]):
            ratios.append(ratio)
            if flip:
                ratios.append(1 / ratio)
    corners = []
    for h in range(height):
        for w in range(width):
            x, y = (w + offset) * step_w, (h + offset) * step_h
            for k, smallest in enumerate(min_size):
                s = float(int(smallest))
                shapes = [(s, s)]
                if max_size:
                    between = math.sqrt(s * int(max_size[k]))
                    shapes.append((between, between))
                shapes += [(s * math.sqrt(r), s / math.sqrt(r)) for r in ratios]
                for bw, bh in shapes:
                    corners += [
                        (x - bw / 2) / img_width,
                        (y - bh / 2) / img_height,
                        (x + bw / 2) / img_width,
                        (y + bh / 2) / img_height,
                    ]
    boxes = np.array(corners)
    if clip:
        boxes = boxes.clip(0, 1)
    variances = np.array((variance or [0.1]) * (4 if len(variance or [0]) == 1 else 1))
    return np.stack([boxes, np.tile(variances, len(boxes) // 4)])[None]


def decode(prior: np.ndarray, variance: np.ndarray, offset: np.ndarray, code: str) -> np.ndarray:
    """One box from its prior; `variance` is 1 where the target already contains it."""
    offset = offset * variance
    width, height = prior[2] - prior[0], prior[3] - prior[1]
    if code == "CORNER":
        return prior + offset
    if code == "CORNER_SIZE":
        return prior + offset * np.array([width, height, width, height])
    x = (prior[0] + prior[2]) / 2 + offset[0] * width
    y = (prior[1] + prior[3]) / 2 + offset[1] * height
    w, h = math.exp(offset[2]) * width, math.exp(offset[3]) * height
    return np.array([x - w / 2, y - h / 2, x + w / 2, y + h / 2])


def jaccard(a: np.ndarray, b: np.ndarray, pixel: float = 0) -> float:
    """Intersection over union, `pixel` added to every side; corners in the wrong order give no area."""
    if b[0] > a[2] or b[2] < a[0] or b[1] > a[3] or b[3] < a[1]:
        return 0.0
    w = min(a[2], b[2]) - max(a[0], b[0]) + pixel
    h = min(a[3], b[3]) - max(a[1], b[1]) + pixel
    if w <= 0 or h <= 0:
        return 0.0
    sizes = [
        0.0 if c[2] < c[0] or c[3] < c[1] else (c[2] - c[0] + pixel) * (c[3] - c[1] + pixel) for c in (a, b)
    ]
    return float(w * h / (sizes[0] + sizes[1] - w * h))


def suppress(
    boxes: np.ndarray,
    scores: np.ndarray,
    least: float,
    threshold: float,
    top_k: int,
    overlap: Callable[[np.ndarray, np.ndarray], float] = jaccard,
    eta: float = 1,
) -> list[int]:
    """Indices kept, in falling order of score (of equals, the first).

    Each box that is kept lowers a threshold above 0.5 by the factor eta.
    """
    order = sorted((k for k in range(len(scores)) if scores[k] > least), key=lambda k: -scores[k])
    kept: list[int] = []
    for k in order[:top_k] if top_k > -1 else order:
        if all(overlap(boxes[k], boxes[other]) <= threshold for other in kept):
            kept.append(k)
            threshold *= eta if threshold > 0.5 else 1
    return kept


@dataclass
class Detection:
    """DetectionOutput's parameters, with its defaults."""

    num_classes: int
    share_location: bool = True
    background_label_id: int = 0
    code_type: str = "CORNER"
    variance_encoded_in_target: bool = False
    keep_top_k: int = -1
    confidence_threshold: float = -np.inf
    nms_threshold: float = 0.3
    top_k: int = -1
    eta: float = 1

    @property
    def text(self) -> str:
        """As a prototxt says it."""
        fields: dict[str, Any] = {
            name: getattr(self, name)
            for name in (
                "num_classes",
                "share_location",
                "background_label_id",
                "code_type",
                "variance_encoded_in_target",
                "keep_top_k",
            )
        }
        if np.isfinite(self.confidence_threshold):
            fields["confidence_threshold"] = self.confidence_threshold
        written = " ".join(f"{k}: {str(v).lower() if isinstance(v, bool) else v}" for k, v in fields.items())
        nms = f"nms_threshold: {self.nms_threshold}" + (f" top_k: {self.top_k}" if self.top_k > -1 else "")
        nms += f" eta: {self.eta}" if self.eta < 1 else ""
        return f"detection_output_param {{ {written} nms_param {{ {nms} }} }}"

    def run(self, locations: np.ndarray, confidences: np.ndarray, priors: np.ndarray) -> np.ndarray:
        """(1, 1, M, 7)."""
        count = priors.shape[2] // 4
        prior, variance = priors[0].reshape(2, count, 4)
        if self.variance_encoded_in_target:
            variance = np.ones_like(variance)
        rows: list[list[float]] = []
        for n in range(len(locations)):
            offsets = locations[n].reshape(count, -1, 4)
            scores = confidences[n].reshape(count, self.num_classes)
            found: list[tuple[float, int, np.ndarray]] = []
            for label in range(self.num_classes):
                if label == self.background_label_id:
                    continue
                of_class = offsets[:, 0 if self.share_location else label]
                boxes = np.array(
                    [
                        decode(p, v, o, self.code_type)
                        for p, v, o in zip(prior, variance, of_class, strict=True)
                    ]
                )
                least = float(np.float32(self.confidence_threshold))
                kept = suppress(boxes, scores[:, label], least, self.nms_threshold, self.top_k, eta=self.eta)
                found += [(scores[k, label], label, boxes[k]) for k in kept]
            if -1 < self.keep_top_k < len(found):
                found = sorted(found, key=lambda one: -one[0])[: self.keep_top_k]
            found.sort(key=lambda one: (one[1], -one[0]))
            rows += [[n, label, score, *box] for score, label, box in found]
        if not rows:
            rows = [[n, *[-1] * 6] for n in range(len(locations))]
        return np.array(rows)[None, None]


def sigmoid(x: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x))."""
    return 1 / (1 + np.exp(-x))


def yolo(
    maps: list[np.ndarray],
    anchors: list[list[tuple[float, float]]],
    sizes: list[int],
    classes: int,
    least: float,
    threshold: float,
    *,
    exclusive: bool,
) -> np.ndarray:
    """(1, 1, M, 7) of YOLO 2 (`exclusive` classes, a softmax) or 3; anchors are relative to `sizes`."""
    found: list[tuple[float, int, np.ndarray]] = []
    for x, of_map, size in zip(maps, anchors, sizes, strict=True):
        n, _, side, _ = x.shape
        x = x.reshape(n, len(of_map), 5 + classes, side, side)
        for i, row, column, k in np.ndindex(n, side, side, len(of_map)):
            tx, ty, tw, th, objectness, *scores = x[i, k, :, row, column]
            u, v = (column + sigmoid(tx)) / side, (row + sigmoid(ty)) / side
            w, h = np.exp([tw, th]) * of_map[k] / size
            box = np.array([u - w / 2, v - h / 2, u + w / 2, v + h / 2])
            if exclusive:
                each = np.exp(scores - np.max(scores)) / np.exp(scores - np.max(scores)).sum()
                best = int(np.argmax(each))
                if each[best] * sigmoid(objectness) >= least:
                    found.append((each[best] * sigmoid(objectness), best, box))
            else:
                each = sigmoid(np.array(scores)) * sigmoid(objectness)
                found += [(each[c], c, box) for c in range(classes) if each[c] > least]
    found.sort(key=lambda one: -one[0])
    kept: list[tuple[float, int, np.ndarray]] = []
    for one in found:
        if all(jaccard(one[2], other[2]) < threshold for other in kept):
            kept.append(one)
    rows = [[0, label + 1, score, *box] for score, label, box in kept]
    if not rows:
        rows = [[n, *[-1] * 6] for n in range(len(maps[0]))]
    return np.array(rows)[None, None]


def prior_text(**values: Any) -> str:
    """A prior_box_param with these fields, lists being repeated ones."""
    fields = []
    for name, value in values.items():
        fields += [f"{name}: {str(v).lower()}" for v in (value if isinstance(value, list) else [value])]
    return f"prior_box_param {{ {' '.join(fields)} }}"
