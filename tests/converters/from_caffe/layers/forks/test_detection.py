"""SSD's layers against float64 references."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from corpus_cases import DEFAULT_TOLERANCE, assert_agrees, run_onnx
from reference_boxes import Detection, prior_boxes, prior_text
from reference_nets import assert_close, computed, layer, write_net

import converters

SSD = Detection(
    num_classes=4,
    code_type="CENTER_SIZE",
    confidence_threshold=0.3,
    nms_threshold=0.45,
    top_k=20,
    keep_top_k=12,
)
CHOICES = {
    "as trained": SSD,
    "no top_k": replace(SSD, top_k=-1),
    "no keep_top_k": replace(SSD, keep_top_k=-1),
    "no limits": replace(SSD, top_k=-1, keep_top_k=-1, confidence_threshold=0.05),
    "no threshold at all": replace(SSD, confidence_threshold=-np.inf, top_k=5),
    "background in between": replace(SSD, background_label_id=2),
    "background last": replace(SSD, background_label_id=3, keep_top_k=7),
    "no background": replace(SSD, background_label_id=-1),
    "background beyond the classes": replace(SSD, background_label_id=9, top_k=400),
    "a box for every class": replace(SSD, share_location=False),
    "a box for every class, background in between": replace(SSD, share_location=False, background_label_id=1),
    "variance in the target": replace(SSD, variance_encoded_in_target=True),
    "corners": replace(SSD, code_type="CORNER"),
    "corners, a box for every class": replace(SSD, code_type="CORNER", share_location=False, top_k=-1),
    "corners by size": replace(SSD, code_type="CORNER_SIZE"),
    "corners by size, variance in the target": replace(
        SSD, code_type="CORNER_SIZE", variance_encoded_in_target=True
    ),
    "everything overlaps": replace(SSD, nms_threshold=0),
    "nothing overlaps": replace(SSD, nms_threshold=1.5),
    "one survivor": replace(SSD, keep_top_k=1),
    "one class": replace(SSD, num_classes=2, keep_top_k=200),
    "eta": replace(SSD, nms_threshold=0.9, eta=0.9, top_k=40, keep_top_k=-1),
    "eta, a box for every class": replace(SSD, nms_threshold=0.7, eta=0.95, share_location=False),
    "eta, corners, one step": replace(SSD, nms_threshold=0.6, eta=0.5, code_type="CORNER", top_k=-1),
    "eta, more steps than boxes": replace(SSD, nms_threshold=0.95, eta=0.98, top_k=8),
    "eta that the threshold does not reach": replace(SSD, eta=0.9),
}
PRIOR = {"min_size": [30], "max_size": [60], "aspect_ratio": [2], "variance": [0.1, 0.1, 0.2, 0.2]}


def inputs(detection: Detection, batch: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Predictions for 60 priors: all scores differ, and boxes overlap from not at all to completely."""
    generator = np.random.default_rng(seed)
    count, classes = 3 * 5 * 4, detection.num_classes
    boxes = 1 if detection.share_location else classes
    scale = 0.2 if detection.variance_encoded_in_target else 2
    scores = generator.permutation(batch * count * classes).reshape(batch, -1) / (batch * count * classes)
    return {
        "loc": generator.normal(0, scale, (batch, count * boxes * 4)).astype(np.float32),
        "conf": scores.astype(np.float32),
        "f": np.zeros((batch, 8, 3, 5)),
        "data": np.zeros((batch, 3, 96, 120)),
    }


def ssd(detection: Detection) -> str:
    prior = layer("PriorBox", "f data", "priors", prior_text(**PRIOR), name="priors")
    return prior + layer("DetectionOutput", "loc conf priors", "found", detection.text)


@pytest.mark.parametrize("name", CHOICES)
@pytest.mark.parametrize("batch", [1, 3])
def test_detection_output(tmp_path: Path, name: str, batch: int) -> None:
    detection = CHOICES[name]
    x = inputs(detection, batch)
    if detection.confidence_threshold == -np.inf:
        x["conf"] -= 0.9
    declared = {key: (1, *array.shape[1:]) for key, array in x.items()}
    got = computed(tmp_path, ssd(detection), x, declared=declared)["found"]
    priors = prior_boxes((3, 5), (96, 120), **PRIOR)
    wanted = detection.run(x["loc"].astype(float), x["conf"].astype(float), priors)
    assert (got[..., 1] != -1).any(), "the case must detect something"
    assert_close(got, wanted)


@pytest.mark.parametrize("declared_batch", [1, 2])
@pytest.mark.parametrize(
    "detection",
    [
        replace(SSD, confidence_threshold=2),
        replace(SSD, keep_top_k=0),
        replace(SSD, top_k=0),
        replace(SSD, num_classes=1),
    ],
    ids=["too high a threshold", "keep_top_k 0", "top_k 0", "only a background"],
)
def test_nothing_detected_gives_one_row_an_image(
    tmp_path: Path, detection: Detection, declared_batch: int
) -> None:
    x = inputs(detection, 2)
    declared = {key: (declared_batch, *array.shape[1:]) for key, array in x.items()}
    got = computed(tmp_path, ssd(detection), x, declared=declared)["found"]
    assert got.tolist() == [[[[0, *[-1] * 6], [1, *[-1] * 6]]]]


def test_an_image_without_detections_has_no_row_beside_one_with(tmp_path: Path) -> None:
    x = inputs(SSD, 2)
    x["conf"][0] = 0
    got = computed(tmp_path, ssd(SSD), x)["found"]
    assert set(got[0, 0, :, 0]) == {1}


@pytest.mark.parametrize("code_type", ["CORNER", "CENTER_SIZE"])
def test_priors_may_be_an_input(tmp_path: Path, code_type: str) -> None:
    detection = replace(SSD, share_location=False, code_type=code_type)
    x = inputs(detection, 1)
    given = {"loc": x["loc"], "conf": x["conf"], "priors": prior_boxes((3, 5), (96, 120), **PRIOR)}
    got = computed(tmp_path, layer("DetectionOutput", "loc conf priors", "found", detection.text), given)
    used = {name for node in onnx.load(tmp_path / "net.onnx").graph.node for name in node.input}
    made = [node for node in onnx.load(tmp_path / "net.onnx").graph.node if node.output[0] != "found"]
    assert all(used & set(node.output) for node in made), "a node whose result nothing takes"
    wanted = detection.run(x["loc"].astype(float), x["conf"].astype(float), given["priors"])
    assert_close(got["found"], wanted)


def test_equal_scores_take_the_first_prior(tmp_path: Path) -> None:
    detection = replace(SSD, num_classes=2, top_k=3, keep_top_k=-1)
    x = inputs(detection, 1)
    x["conf"][:] = 0.5
    x["loc"][:] = 0
    got = computed(tmp_path, ssd(detection), x)["found"]
    wanted = detection.run(
        x["loc"].astype(float), x["conf"].astype(float), prior_boxes((3, 5), (96, 120), **PRIOR)
    )
    assert_close(got, wanted)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ("nms_threshold: 0.45|nms_threshold: 0.9 eta: 0.999", "UnsupportedError", "more than 64 times"),
        ("nms_threshold: 0.45|nms_threshold: -1", "FormatError", "must not be negative"),
        ("nms_threshold: 0.45|eta: 1.5", "FormatError", "eta"),
        ("num_classes: 4|", "FormatError", "num_classes"),
        ("num_classes: 4|num_classes: 5", "FormatError", "need 300 confidences"),
    ],
)
def test_detection_output_refuses(tmp_path: Path, change: str, error: str, message: str) -> None:
    text = ssd(SSD).replace(*change.split("|"))
    shapes = {name: array.shape for name, array in inputs(SSD, 1).items()}
    with pytest.raises(getattr(converters, error), match=message):
        converters.load(*write_net(tmp_path, text, shapes))


@pytest.mark.parametrize("io", ["io_0.npz", "io_1.npz", "io_2.npz"])
def test_a_public_detector(shared: Path, tmp_path: Path, io: str) -> None:
    """Ultra-light face detection (Permute, Reshape, Concat, Softmax), against outputs that were recorded."""
    folder = shared / "models" / "ultraface-RFB-320"
    with np.load(folder / io) as recorded:
        arrays = {name: recorded[name] for name in recorded.files}
    converters.convert([folder / "net.prototxt", folder / "net.caffemodel"], tmp_path / "net.onnx")
    got = run_onnx(tmp_path / "net.onnx", {"input": arrays["in:input"]})
    wanted = {name[4:]: array for name, array in arrays.items() if name.startswith("out:")}
    assert_agrees(got, wanted, DEFAULT_TOLERANCE)
