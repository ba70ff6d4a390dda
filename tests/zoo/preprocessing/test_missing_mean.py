"""A mean that nobody states is asked for; what is stated, also that there is none, is taken."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from colour_net import save_net
from command_line import runner

import converters
from zoo.errors import UsageError
from zoo.evaluation.settings import complete_settings
from zoo.preprocessing.settings import carried_settings

CHOSEN = {"flavour": "caffe-warp8", "crop": 8}
OPTIONS = ["--flavour", "caffe-warp8", "--crop", "8"]
TRAINING = """
layer {{ name: "data" type: "{type}" top: "data" top: "label" {transform} {param} }}
layer {{ name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
  inner_product_param {{ num_output: 3 weight_filler {{ type: "xavier" }} }} }}
"""


@pytest.fixture
def dsd_zoo(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("DSD_ZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return runner(monkeypatch, capsys)


@pytest.mark.parametrize(
    ("flavour", "usual"),
    [
        ("caffe-warp8", "--mean 104,117,123"),
        ("torch7-bicubic8", "--mean 0.485,0.456,0.406 --std 0.229,0.224,0.225"),
        ("pil-bicubic-short8", "--mean 0.485,0.456,0.406 --std 0.229,0.224,0.225"),
    ],
)
def test_it_is_asked_for_with_what_is_usual(flavour, usual):
    with pytest.raises(UsageError, match="do not say which mean") as caught:
        complete_settings({}, None, {"flavour": flavour, "crop": 8})
    assert usual in str(caught.value)
    assert "--mean none" in str(caught.value)


@pytest.mark.parametrize(
    ("own", "mean", "expected"),
    [
        ({}, [], None),
        ({}, [0.0], [0.0]),
        ({}, [1.0, 2.0, 3.0], [1.0, 2.0, 3.0]),
        ({**CHOSEN, "mean": None}, None, None),
        ({"crop": 8, "scale": 0.5}, None, None),
        ({**CHOSEN, "mean": [4.0]}, [], None),
        ({**CHOSEN, "mean_image": True}, [], None),
        ({**CHOSEN, "mean": [4.0]}, None, [4.0]),
    ],
)
def test_what_is_said_is_taken(own, mean, expected):
    found = complete_settings(own, None, CHOSEN, mean=mean).preprocessing
    assert (found.mean, found.mean_image) == (expected, False)


def test_a_mean_image_is_an_answer():
    found = complete_settings({}, None, CHOSEN, mean=Path("mean.npy"))
    assert (found.preprocessing.mean_image, found.mean_image) == (True, Path("mean.npy"))


@pytest.mark.parametrize(
    ("kind", "param", "states"),
    [
        ("Data", "data_param { batch_size: 1 }", True),
        ("ImageData", 'image_data_param { source: "x" batch_size: 1 }', True),
        ("MemoryData", "memory_data_param { batch_size: 1 channels: 3 height: 8 width: 8 }", True),
        # Its images were prepared by whoever wrote the file.
        ("HDF5Data", 'hdf5_data_param { source: "x" batch_size: 1 }', False),
    ],
)
def test_which_data_layers_say_that_there_is_no_mean(tmp_path, kind, param, states):
    (tmp_path / "net.prototxt").write_text(TRAINING.format(type=kind, transform="", param=param))
    model = converters.load(tmp_path / "net.prototxt", init=1, input_shapes={"data": (1, 3, 8, 8)})
    assert (converters.preprocessing_of(model) is not None) == states
    assert bool(carried_settings(converters.preprocessing_of(model))) == states


def test_a_layer_of_a_fork_that_states_a_mean_is_believed(tmp_path):
    transform = "transform_param { mean_value: 5 }"
    for kind, value in (("HDF5Data", [5.0]), ("CPMData", [5.0])):
        (tmp_path / "net.prototxt").write_text(TRAINING.format(type=kind, transform=transform, param=""))
        model = converters.load(tmp_path / "net.prototxt", init=1, input_shapes={"data": (1, 3, 8, 8)})
        assert carried_settings(converters.preprocessing_of(model))["mean"] == value


def test_validate_and_predict_ask_and_bench_does_not(dsd_zoo):
    save_net("net.onnx")
    Path("images").mkdir()
    cv2.imwrite("images/red.png", np.full((9, 9, 3), (0, 0, 255), np.uint8))
    Path("images/labels.txt").write_text("red.png 2\n")
    for line in (["validate", "net.onnx", "--data", "images"], ["predict", "net.onnx", "images/red.png"]):
        refused = dsd_zoo(*line, *OPTIONS)
        assert refused.code == 2
        assert "do not say which mean" in refused.err
        assert dsd_zoo(*line, *OPTIONS, "--mean", "none").code == 0
    (result,) = Path("results").rglob("result.json")
    assert json.loads(result.read_text())["preprocessing"]["mean"] is None
    assert dsd_zoo("bench", "net.onnx", "--data", "images", *OPTIONS, "--seconds", "0.1").code == 0
