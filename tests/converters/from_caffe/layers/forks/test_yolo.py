"""YOLO's choice of detections against a float64 reference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reference_boxes import yolo
from reference_nets import assert_close, computed, layer, write_net

import converters

ANCHORS = [(0.7, 0.9), (2.4, 2.6), (4.3, 7.0), (1.1, 3.0)]
PIXELS = [(10, 14), (23, 27), (37, 58), (81, 82), (135, 169), (34, 31)]


def predictions(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    x = np.random.default_rng(seed).normal(0, 1.5, shape)
    return x.astype(np.float32).astype(float)


@pytest.mark.parametrize(
    ("sides", "boxes", "classes", "batch", "least", "threshold"),
    [
        ([5], 2, 3, 1, 0.01, 0.45),
        ([6, 3], 3, 2, 1, 0.2, 0.3),
        ([4], 4, 1, 1, 0.5, 0.6),
        ([3, 5], 1, 4, 2, 0.1, 0.45),
        ([2], 2, 3, 1, 0.999, 0.45),
        ([2], 2, 3, 3, 1.5, 0.45),
        ([4], 2, 3, 1, 0, 1),
    ],
)
def test_yolo_2(
    tmp_path: Path, sides: list[int], boxes: int, classes: int, batch: int, least: float, threshold: float
) -> None:
    maps = [predictions((batch, boxes * (5 + classes), s, s), s) for s in sides]
    biases = " ".join(f"biases: {v}" for pair in ANCHORS[:boxes] for v in pair)
    text = (
        f"yolo_detection_output_param {{ num_classes: {classes} num_box: {boxes} {biases} "
        f"confidence_threshold: {least} nms_threshold: {threshold} side: 13 }}"
    )
    inputs = {f"x{k}": x for k, x in enumerate(maps)}
    got = computed(tmp_path, layer("YoloDetectionOutput", " ".join(inputs), "y", text), inputs)
    wanted = yolo(maps, [ANCHORS[:boxes]] * len(maps), sides, classes, least, threshold, exclusive=True)
    assert_close(got["y"], wanted)


@pytest.mark.parametrize(
    ("sides", "masks", "scales", "classes", "batch", "least", "threshold"),
    [
        ([4, 8], [[3, 4, 5], [0, 1, 2]], [32, 16], 2, 1, 0.01, 0.45),
        ([5], [[0, 1]], [32], 3, 1, 0.3, 0.45),
        ([2, 4, 6], [[5], [2], [0]], [32, 16, 8], 4, 1, 0.5, 0.3),
        ([3, 6], [[4, 1], [0, 2]], [32, 16], 1, 2, 0.2, 0.7),
        ([3], [[2]], [8], 5, 1, 1.5, 0.45),
        ([4], [[1, 5]], [16], 3, 1, 0.05, 1),
    ],
)
def test_yolo_3(
    tmp_path: Path,
    sides: list[int],
    masks: list[list[int]],
    scales: list[int],
    classes: int,
    batch: int,
    least: float,
    threshold: float,
) -> None:
    boxes = len(masks[0])
    maps = [predictions((batch, boxes * (5 + classes), s, s), s) for s in sides]
    fields = {
        "num_classes": [classes],
        "num_box": [boxes],
        "biases": [v for pair in PIXELS for v in pair],
        "mask": [m for of_map in masks for m in of_map],
        "mask_group_num": [len(sides)],
        "anchors_scale": scales,
        "confidence_threshold": [least],
        "nms_threshold": [threshold],
    }
    text = " ".join(f"{name}: {value}" for name, values in fields.items() for value in values)
    inputs = {f"x{k}": x for k, x in enumerate(maps)}
    net = layer("Yolov3DetectionOutput", " ".join(inputs), "y", f"yolov3_detection_output_param {{ {text} }}")
    anchors = [[PIXELS[m] for m in of_map] for of_map in masks]
    sizes = [side * scale for side, scale in zip(sides, scales, strict=True)]
    wanted = yolo(maps, anchors, sizes, classes, least, threshold, exclusive=False)
    assert_close(computed(tmp_path, net, inputs)["y"], wanted)


@pytest.mark.parametrize(
    ("kind", "fields", "error", "message"),
    [
        ("", {"num_classes": None}, "FormatError", "needs num_classes"),
        ("", {"num_box": 3}, "FormatError", "a width and a height for each box"),
        ("", {"num_classes": 2}, "FormatError", "need a square map of 14 channels"),
        ("", {"nms_threshold": 0}, "UnsupportedError", "only one box"),
        ("v3", {"mask_group_num": 2}, "FormatError", "mask_group_num is 2"),
        ("v3", {"anchors_scale": None}, "FormatError", "anchors_scale for each"),
        ("v3", {"mask": None}, "FormatError", "needs 2 masks"),
        ("v3", {"num_box": 3}, "FormatError", "needs 3 masks"),
        ("v3", {"biases": 1}, "FormatError", "a width and a height for each mask"),
        ("v3", {"nms_threshold": 1.5}, "UnsupportedError", "every class of a box"),
    ],
)
def test_yolo_refuses(tmp_path: Path, kind: str, fields: dict[str, Any], error: str, message: str) -> None:
    values: dict[str, Any] = {"num_classes": 3, "num_box": 2, "biases": "1 biases: 2 biases: 3 biases: 4"}
    if kind:
        values |= {"mask_group_num": 1, "mask": "0 mask: 1", "anchors_scale": 32}
    values |= fields
    text = " ".join(f"{name}: {value}" for name, value in values.items() if value is not None)
    net = layer(f"Yolo{kind}DetectionOutput", "x", "y", f"yolo{kind}_detection_output_param {{ {text} }}")
    with pytest.raises(getattr(converters, error), match=message):
        converters.load(*write_net(tmp_path, net, {"x": (1, 16, 4, 4)}))
