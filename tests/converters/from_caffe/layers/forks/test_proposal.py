"""Faster R-CNN's Proposal, against a float64 reference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reference_regions as reference
from caffemodel_writer import field
from corpus_cases import run_onnx
from reference_nets import assert_close, computed, layer, write_net

import converters

PROPOSALS: dict[str, dict[str, Any]] = {
    "as trained": {},
    "one image in two scales": {"info": [90, 120, 1.5, 0.75]},
    "few candidates": {"before": 7},
    "few places": {"after": 3},
    "one anchor": {"ratios": [1], "scales": [4]},
    "other anchors": {
        "ratios": [0.333, 0.5, 0.667, 1, 1.5, 2, 3],
        "scales": [2, 3, 5, 9, 16, 32],
        "before": 400,
    },
    "another base": {"base": 15, "stride": 8, "info": [50, 60, 1]},
    "everything overlaps": {"threshold": 0},
    "nothing overlaps": {"threshold": 1},
    "two images": {"batch": 2},
    "small ones go": {"least": 40, "before": 60},
}


@pytest.mark.parametrize("name", PROPOSALS)
def test_proposal(tmp_path: Path, name: str) -> None:
    given = {
        "base": 16, "stride": 16, "ratios": [0.5, 1, 2], "scales": [1, 2, 4], "before": 200, "after": 30,
        "threshold": 0.7, "least": 16, "info": [88, 120, 1.25], "batch": 1,
    } | PROPOSALS[name]  # fmt: skip
    generator = np.random.default_rng(3)
    count = len(given["ratios"]) * len(given["scales"])
    place = (given["batch"], 6, 8)
    scores = generator.permutation(given["batch"] * 2 * count * 48) + 1
    scores = (scores / scores.size).astype(np.float32).reshape(place[0], 2 * count, *place[1:])
    deltas = generator.normal(0, 0.3, (place[0], 4 * count, *place[1:])).astype(np.float32)
    ratios, scales = (" ".join(f"{k}: {v}" for v in given[f"{k}s"]) for k in ("ratio", "scale"))
    text = (
        f"proposal_param {{ base_size: {given['base']} feat_stride: {given['stride']} "
        f"min_size: {given['least']} pre_nms_topn: {given['before']} post_nms_topn: {given['after']} "
        f"nms_thresh: {given['threshold']} {ratios} {scales} }}"
    )
    inputs = {"s": scores, "d": deltas, "info": np.array([given["info"]] * place[0])}
    declared = {key: (1, *array.shape[1:]) for key, array in inputs.items()}
    got = computed(tmp_path, layer("Proposal", "s d info", "rois found", text), inputs, declared=declared)
    shapes = reference.anchors(given["base"], given["ratios"], given["scales"])
    rois, found = reference.proposals(
        scores.astype(float), deltas.astype(float), given["info"], shapes,
        *(given[key] for key in ("stride", "least", "before", "after", "threshold")),
    )  # fmt: skip
    assert len(rois) > 0
    assert_close(got["rois"], rois)
    assert_close(got["found"], found)


def test_proposal_has_the_anchors_of_faster_rcnn(tmp_path: Path) -> None:
    """The anchors that its code lists for 3 ratios and 3 scales; an unmoved box ends a pixel later."""
    published = [
        [-84, -40, 99, 55],
        [-176, -88, 191, 103],
        [-360, -184, 375, 199],
        [-56, -56, 71, 71],
        [-120, -120, 135, 135],
        [-248, -248, 263, 263],
        [-36, -80, 51, 95],
        [-80, -168, 95, 183],
        [-168, -344, 183, 359],
    ]
    assert reference.anchors(16, [0.5, 1, 2], [8, 16, 32]).tolist() == published
    scores = np.zeros((1, 18, 61, 61))
    scores[0, 9:, 30, 30] = np.arange(9, 0, -1)
    inputs = {"s": scores, "d": np.zeros((1, 36, 61, 61)), "info": np.array([[976, 976, 1]])}
    text = (
        "proposal_param { base_size: 16 feat_stride: 16 min_size: 16 pre_nms_topn: 9 post_nms_topn: 9 "
        "nms_thresh: 1 ratio: 0.5 ratio: 1 ratio: 2 scale: 8 scale: 16 scale: 32 }"
    )
    got = computed(tmp_path, layer("Proposal", "s d info", "rois", text), inputs)
    assert (got["rois"][:, 1:] - 480 - [0, 0, 1, 1]).tolist() == published


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ratio: 1", "at least one ratio"),
        ("ratio: -1 scale: 8", "ratios must be positive"),
        ("ratio: 1 scale: 8 scale: 16", "4 channels|8 channels"),
        ("ratio: 1 scale: 8 pre_nms_topn: 0", "must be positive"),
        ("ratio: 1 scale: 8 nms_thresh: -0.5", "must not be negative"),
    ],
)
def test_proposal_refuses(tmp_path: Path, text: str, message: str) -> None:
    shapes = {"s": (1, 2, 3, 4), "d": (1, 4, 3, 4), "info": (1, 3)}
    net = layer("Proposal", "s d info", "rois", f"proposal_param {{ {text} }}")
    with pytest.raises(converters.FormatError, match=message):
        converters.load(*write_net(tmp_path, net, shapes))


def happynears_caffemodel(folder: Path) -> Path:
    """A caffemodel of happynear's fork, which stores the parameters of Proposal at field 219."""
    stored = field(1, b"prop") + field(2, b"Proposal")
    path = folder / "face.caffemodel"
    path.write_bytes(field(100, stored + field(219, b"")))
    return path


def test_happynears_scales_are_pixels(tmp_path: Path) -> None:
    """Its anchors: unrounded ratios, scales divided by base_size, the sides less one rounded to half up."""
    ratios, scales = [0.5, 1, 2], [24, 50]
    generator = np.random.default_rng(5)
    scores = (generator.permutation(2 * 6 * 12) + 1).astype(np.float32).reshape(1, 12, 3, 4) / 144
    deltas = generator.normal(0, 0.3, (1, 24, 3, 4)).astype(np.float32)
    info = np.array([[50, 70, 1, 1]], np.float32)
    fields = " ".join([*(f"ratio: {r}" for r in ratios), *(f"scale: {s}" for s in scales)])
    text = layer("Proposal", "s d info", "rois", f"proposal_param {{ {fields} min_size: 4 }}", "prop")
    shapes = {"s": scores.shape, "d": deltas.shape, "info": info.shape}
    sources = [*write_net(tmp_path, text, shapes), happynears_caffemodel(tmp_path)]
    converters.convert(sources, tmp_path / "net.onnx")
    got = run_onnx(tmp_path / "net.onnx", {"s": scores, "d": deltas, "info": info})
    anchors = []
    for ratio in ratios:
        for scale in scales:
            width = 16 / np.sqrt(ratio)
            w, h = (np.floor(side * scale / 16 - 1 + 0.5) / 2 for side in (width, width * ratio))
            anchors.append([7.5 - w, 7.5 - h, 7.5 + w, 7.5 + h])
    wanted, _ = reference.proposals(
        scores.astype(float), deltas.astype(float), info[0], np.array(anchors), 16, 4, 6000, 300, 0.7
    )
    assert len(wanted) > 3
    assert_close(got["rois"], wanted)


def test_scales_that_look_like_pixels_are_noted(tmp_path: Path) -> None:
    shapes = {"s": (1, 2, 3, 4), "d": (1, 4, 3, 4), "info": (1, 4)}
    for scale, noted in ((64, False), (128, True)):
        text = layer("Proposal", "s d info", "rois", f"proposal_param {{ ratio: 1 scale: {scale} }}")
        report = converters.load(*write_net(tmp_path, text, shapes)).meta["report"]
        assert any("multiples of base_size" in note for note in report.notes) == noted
