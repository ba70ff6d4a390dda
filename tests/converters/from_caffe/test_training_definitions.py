"""What is left of a training definition: the rules that the recorded cases do not spell out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from caffemodel_writer import write_caffemodel

import converters

DATA = """
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: %s }
  transform_param { crop_size: 5 mean_value: 104 mean_value: 117 mean_value: 123 mirror: true scale: 0.5 }
  data_param { source: "db" batch_size: 8 backend: LMDB } }
"""
BODY = """
layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc" inner_product_param { num_output: 4 } }
"""
LOSS = 'layer { name: "%s" type: "%s" bottom: "%s" bottom: "label" top: "%s" }\n'


def load(folder: Path, text: str, **options: object) -> object:
    definition = folder / "net.prototxt"
    definition.write_text(text)
    weights = write_caffemodel(folder / "net.caffemodel", {"fc": [np.ones((4, 75)), np.zeros(4)]})
    return converters.load(definition, weights, **options)  # type: ignore[arg-type]


def test_data_become_the_input_and_say_how_they_were_prepared(tmp_path: Path) -> None:
    text = (
        DATA % "TRAIN"
        + (DATA % "TEST").replace("mirror: true", "")
        + BODY
        + LOSS % ("loss", "SoftmaxWithLoss", "fc", "loss")
    )
    model = load(tmp_path, text)
    report = model.meta["report"]
    assert (report.inputs, report.outputs) == ({"data": "Nx3x5x5"}, {"prob": "Nx4"})
    assert report.preprocessing == {
        "framework": "caffe",
        "layer": "data",
        "channel_order": "BGR",
        "resize": None,
        "crop": 5,
        "mean": [104.0, 117.0, 123.0],
        "mean_file": None,
        "scale": 0.5,
    }
    assert converters.preprocessing_of(model) == report.preprocessing


@pytest.mark.parametrize(
    ("heads", "outputs"),
    [
        (LOSS % ("loss", "SoftmaxWithLoss", "fc", "loss"), ["prob"]),
        (
            LOSS % ("loss", "SoftmaxWithLoss", "fc", "loss") + LOSS % ("acc", "Accuracy", "fc", "acc"),
            ["prob"],
        ),
        (LOSS % ("loss", "EuclideanLoss", "fc", "loss"), ["fc"]),
        (LOSS % ("loss", "SigmoidCrossEntropyLoss", "fc", "loss"), ["fc"]),
        # the label first: what is learned is the score, whatever its place
        ('layer { name: "loss" type: "EuclideanLoss" bottom: "label" bottom: "fc" top: "loss" }', ["fc"]),
        # losses weighted and added up in the net are losses still
        (
            LOSS % ("l1", "HingeLoss", "fc", "l1")
            + LOSS % ("l2", "SoftmaxWithLoss", "fc", "l2")
            + 'layer { name: "half" type: "Power" bottom: "l1" top: "half" power_param { scale: 0.5 } }'
            + 'layer { name: "sum" type: "Eltwise" bottom: "half" bottom: "l2" top: "sum" }',
            ["prob"],
        ),
        # a Softmax of its own is not made twice
        (
            'layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }'
            + LOSS % ("loss", "SoftmaxWithLoss", "fc", "loss"),
            ["prob"],
        ),
        # what only fed the label goes too
        (
            'layer { name: "half" type: "Power" bottom: "label" top: "target" power_param { scale: 0.5 } }'
            'layer { name: "loss" type: "EuclideanLoss" bottom: "fc" bottom: "target" top: "loss" }',
            ["fc"],
        ),
        ('layer { name: "quiet" type: "Silence" bottom: "label" }', ["fc"]),
    ],
)
def test_heads(tmp_path: Path, heads: str, outputs: list[str]) -> None:
    report = load(tmp_path, DATA % "TEST" + BODY + heads).meta["report"]
    assert list(report.outputs) == outputs
    assert list(report.inputs) == ["data"]


def test_a_wanted_probability_is_made_of_the_loss_that_has_one(tmp_path: Path) -> None:
    text = DATA % "TEST" + BODY + LOSS % ("loss", "SigmoidCrossEntropyLoss", "fc", "loss")
    assert [node.op_type for node in load(tmp_path, text, outputs=["prob"]).graph] == [
        "Flatten",
        "Gemm",
        "Sigmoid",
    ]


def test_an_input_size_that_nothing_tells_is_asked_for(tmp_path: Path) -> None:
    text = (DATA % "TEST").replace("crop_size: 5", "").replace("mean_value: 117 mean_value: 123", "")
    text += 'layer { name: "r" type: "ReLU" bottom: "data" top: "r" }'
    with pytest.raises(converters.UsageError, match="--input-shape data=N,C,H,W"):
        load(tmp_path, text)
    assert load(tmp_path, text, input_shapes={"data": (1, 3, 7, 9)}).meta["report"].outputs == {
        "r": "1x3x7x9"
    }
