"""Prior boxes against float64 references, and against recordings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from corpus_cases import CORPUS, DEFAULT_TOLERANCE, Case, assert_agrees, run_onnx
from reference_boxes import prior_boxes, prior_text
from reference_nets import assert_close, computed, layer, write_net

import converters

PRIORS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"min_size": [30]}, {"min_size": [30]}),
    (
        {"min_size": [60], "max_size": [111], "aspect_ratio": [2, 3], "variance": [0.1, 0.1, 0.2, 0.2]},
        {"min_size": [60], "max_size": [111], "aspect_ratio": [2, 3], "variance": [0.1, 0.1, 0.2, 0.2]},
    ),
    (
        {"min_size": [10, 16, 24], "flip": False, "aspect_ratio": [2], "clip": True, "variance": [0.3]},
        {"min_size": [10, 16, 24], "flip": False, "aspect_ratio": [2], "clip": True, "variance": [0.3]},
    ),
    (
        {"min_size": [20, 40], "max_size": [30, 77], "aspect_ratio": [1, 2, 0.5, 2.0000001], "step": 8},
        {"min_size": [20, 40], "max_size": [30, 77], "aspect_ratio": [2], "step": (8, 8)},
    ),
    (
        {"min_size": [32.9], "max_size": [64.5], "offset": 0, "step_h": 16, "step_w": 9.5},
        {"min_size": [32], "max_size": [64], "offset": 0, "step": (16, 9.5)},
    ),
    ({"min_size": [30], "img_size": 300}, {"min_size": [30], "image": (300, 300)}),
    ({"min_size": [30], "img_h": 200, "img_w": 150}, {"min_size": [30], "image": (200, 150)}),
]


@pytest.mark.parametrize(("given", "meant"), PRIORS)
def test_prior_box(tmp_path: Path, given: dict[str, Any], meant: dict[str, Any]) -> None:
    f, data = np.zeros((2, 8, 3, 5)), np.zeros((2, 3, 96, 120))
    got = computed(tmp_path, layer("PriorBox", "f data", "y", prior_text(**given)), {"f": f, "data": data})
    assert_close(got["y"], prior_boxes((3, 5), **{"image": (96, 120), **meant}))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "needs a min_size"),
        ({"min_size": [0]}, "must be positive"),
        ({"min_size": [30, 60], "max_size": [40]}, "one for each min_size"),
        ({"min_size": [30], "max_size": [30]}, "greater than min_size"),
        ({"min_size": [30], "variance": [0.1, 0.2]}, "1 or 4 variances"),
        ({"min_size": [30], "img_size": 3, "img_h": 3, "img_w": 3}, "either img_size"),
        ({"min_size": [30], "step": 8, "step_h": 8, "step_w": 8}, "either step"),
    ],
)
def test_prior_box_refuses_what_ssd_refuses(tmp_path: Path, values: dict[str, Any], message: str) -> None:
    shapes = {"f": (1, 8, 3, 5), "data": (1, 3, 96, 120)}
    with pytest.raises(converters.FormatError, match=message):
        converters.load(*write_net(tmp_path, layer("PriorBox", "f data", "y", prior_text(**values)), shapes))


@pytest.mark.parametrize("name", ["priorbox-clustered", "priorbox-offsets"])
def test_recorded_prior_boxes(name: str, tmp_path: Path) -> None:
    case = Case.load(CORPUS / "field-caffe" / name)
    converters.convert(case.sources, tmp_path / "net.onnx")
    assert_agrees(run_onnx(tmp_path / "net.onnx", case.inputs), case.outputs, DEFAULT_TOLERANCE)


@pytest.mark.parametrize("kind", ["PriorBoxClustered", "PriorBox"])
@pytest.mark.parametrize("clip", [False, True])
@pytest.mark.parametrize("step", [{}, {"step": 20}, {"step_h": 20, "step_w": 30}])
def test_boxes_by_width_and_height(tmp_path: Path, kind: str, clip: bool, step: dict[str, float]) -> None:
    f, data = np.zeros((1, 8, 3, 5)), np.zeros((1, 3, 96, 120))
    widths, heights = [9.5, 40], [33.25, 12]
    text = prior_text(width=widths, height=heights, offset=0.25, clip=clip, variance=[0.3], **step)
    got = computed(tmp_path, layer(kind, "f data", "y", text), {"f": f, "data": data})
    step_h, step_w = step.get("step_h", step.get("step", 32)), step.get("step_w", step.get("step", 24))
    boxes = []
    for row in range(3):
        for column in range(5):
            x, y = (column + 0.25) * step_w, (row + 0.25) * step_h
            for w, h in zip(widths, heights, strict=True):
                boxes += [(x - w / 2) / 120, (y - h / 2) / 96, (x + w / 2) / 120, (y + h / 2) / 96]
    wanted = np.clip(boxes, 0, 1) if clip else np.array(boxes)
    assert_close(got["y"], np.stack([wanted, np.full(len(boxes), 0.3)])[None])


def test_opencvs_offsets_keep_fractions_and_clip_unless_told(tmp_path: Path) -> None:
    """OpenCV's prior_box_layer.cpp: float sizes, `clip` true by default, boxes before offsets."""
    f, data = np.zeros((1, 8, 1, 1)), np.zeros((1, 3, 40, 80))
    text = prior_text(min_size=[12.5], max_size=[50], offset_h=[0.5, 1], offset_w=[0.5, 0.25])
    got = computed(tmp_path, layer("PriorBox", "f data", "y", text), {"f": f, "data": data})
    boxes = []
    for size in (12.5, 25):
        for x, y in ((40, 20), (20, 40)):
            boxes += [(x - size / 2) / 80, (y - size / 2) / 40, (x + size / 2) / 80, (y + size / 2) / 40]
    assert_close(got["y"], np.stack([np.clip(boxes, 0, 1), np.full(16, 0.1)])[None])


@pytest.mark.parametrize(
    ("kind", "values", "error", "message"),
    [
        ("PriorBoxClustered", {}, "FormatError", "needs a width"),
        ("PriorBoxClustered", {"width": [3], "height": [3, 4]}, "FormatError", "1 widths and 2 heights"),
        ("PriorBoxClustered", {"width": [0], "height": [3]}, "FormatError", "must be positive"),
        ("PriorBox", {"width": [3], "height": [3], "min_size": [3]}, "FormatError", "or min_size"),
        ("PriorBox", {"min_size": [3], "offset_h": [0.5]}, "FormatError", "1 offset_h and 0 offset_w"),
        (
            "PriorBox",
            {"min_size": [3], "offset_h": [0.5], "offset_w": [0.5], "offset": 1},
            "FormatError",
            "either offset",
        ),
        (
            "PriorBox",
            {"min_size": [3], "offset_h": [0.1, 0.2, 0.3], "offset_w": [0.1, 0.2, 0.3]},
            "UnsupportedError",
            "more than two",
        ),
        (
            "PriorBox",
            {"min_size": [3, 4], "offset_h": [0.5], "offset_w": [0.5]},
            "UnsupportedError",
            "only the first min_size",
        ),
    ],
)
def test_prior_boxes_that_are_refused(
    tmp_path: Path, kind: str, values: dict[str, Any], error: str, message: str
) -> None:
    shapes = {"f": (1, 8, 3, 5), "data": (1, 3, 96, 120)}
    with pytest.raises(getattr(converters, error), match=message):
        converters.load(*write_net(tmp_path, layer(kind, "f data", "y", prior_text(**values)), shapes))
