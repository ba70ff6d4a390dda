"""What remains of a training definition: rules that no recorded case shows."""

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


def test_the_data_layer_becomes_the_input_and_its_preprocessing_is_reported(tmp_path: Path) -> None:
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
        # the label first: the score is what the net computes, whatever its position
        ('layer { name: "loss" type: "EuclideanLoss" bottom: "label" bottom: "fc" top: "loss" }', ["fc"]),
        # losses that are weighted and added up in the net are still losses
        (
            LOSS % ("l1", "HingeLoss", "fc", "l1")
            + LOSS % ("l2", "SoftmaxWithLoss", "fc", "l2")
            + 'layer { name: "half" type: "Power" bottom: "l1" top: "half" power_param { scale: 0.5 } }'
            + 'layer { name: "sum" type: "Eltwise" bottom: "half" bottom: "l2" top: "sum" }',
            ["prob"],
        ),
        # a Softmax that is there already is not made twice
        (
            'layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }'
            + LOSS % ("loss", "SoftmaxWithLoss", "fc", "loss"),
            ["prob"],
        ),
        # a layer that only computes the label is dropped too
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
    of_images = load(tmp_path, text, image_shape=(3, 7, 9))
    assert of_images.meta["report"].outputs == {"r": "Nx3x7x9"}


def test_a_shape_of_images_is_not_used_where_the_net_states_its_own(tmp_path: Path) -> None:
    model = load(tmp_path, DATA % "TEST" + BODY, image_shape=(3, 7, 9))
    assert model.meta["report"].inputs == {"data": "Nx3x5x5"}
    assert "image_shape_used" not in model.meta


def test_the_last_softmax_loss_is_the_probability_also_where_it_is_asked_for(tmp_path: Path) -> None:
    heads = LOSS % ("l1", "SoftmaxWithLoss", "fc", "l1") + LOSS % (
        "l2",
        "SigmoidCrossEntropyLoss",
        "fc",
        "l2",
    )
    text = DATA % "TEST" + BODY + heads
    for options in ({}, {"outputs": ["prob"]}):
        assert [node.op_type for node in load(tmp_path, text, **options).graph][-1] == "Softmax"


HDF5 = 'layer { name: "data" type: "HDF5Data" top: "data" top: "label" hdf5_data_param { source: "l" } }'


def test_a_convolution_tells_the_size_of_an_input_before_a_matrix_product(tmp_path: Path) -> None:
    """Whichever of the two an output needs: the input has the same shape."""
    definition = tmp_path / "net.prototxt"
    conv = 'layer { name: "c" type: "Convolution" bottom: "data" top: "c" convolution_param { %s } }'
    definition.write_text(HDF5 + BODY + conv % "num_output: 1 kernel_size: 1 bias_term: false")
    blobs = {"fc": [np.ones((4, 75)), np.zeros(4)], "c": [np.ones((1, 3, 1, 1))]}
    weights = write_caffemodel(tmp_path / "net.caffemodel", blobs)
    for outputs in (["fc"], ["c"], ["fc", "c"]):
        report = converters.load(definition, weights, outputs=outputs).meta["report"]
        assert report.inputs == {"data": "Nx3xdata_2xdata_3"}


def test_a_fixed_batch_is_that_of_the_data_layer(tmp_path: Path) -> None:
    source = HDF5.replace("hdf5_data_param {", "hdf5_data_param { batch_size: 6")
    cut = 'layer { name: "s" type: "Slice" bottom: "fc" top: "a" top: "b" slice_param { axis: 0 } }'
    definition = tmp_path / "net.prototxt"
    definition.write_text(source + BODY + cut)
    weights = write_caffemodel(tmp_path / "net.caffemodel", {"fc": [np.ones((4, 75)), np.zeros(4)]})
    report = converters.load(definition, weights).meta["report"]
    assert (report.inputs, report.outputs) == ({"data": "6x75"}, {"a": "3x4", "b": "3x4"})


def test_a_size_that_a_layer_needs_is_asked_for(tmp_path: Path) -> None:
    cut = 'layer { name: "s" type: "Slice" bottom: "c" top: "a" top: "b" slice_param { axis: 2 } }'
    conv = 'layer { name: "c" type: "Convolution" bottom: "data" top: "c" convolution_param { %s } }'
    definition = tmp_path / "net.prototxt"
    definition.write_text(HDF5 + conv % "num_output: 1 kernel_size: 1 bias_term: false" + cut)
    weights = write_caffemodel(tmp_path / "net.caffemodel", {"c": [np.ones((1, 3, 1, 1))]})
    with pytest.raises(converters.StaticSizeRequired, match="--input-shape data=N,C,H,W"):
        converters.load(definition, weights)
    shapes = {"data": (2, 3, 4, 4)}
    assert converters.load(definition, weights, input_shapes=shapes).meta["report"].outputs["a"] == "2x1x2x4"
    of_images = converters.load(definition, weights, image_shape=(3, 4, 4))
    assert of_images.meta["report"].outputs["a"] == "Nx1x2x4"
    assert of_images.meta["image_shape_used"]
    # the shape of an input that the wanted output does not need may be given too
    power = 'layer { name: "p" type: "DummyData" top: "p" dummy_data_param { shape { dim: 2 } } }'
    definition.write_text(definition.read_text() + power)
    assert not converters.load(definition, weights, input_shapes=shapes, outputs=["p"]).graph.inputs


def test_layers_that_keep_an_open_size_can_be_joined(tmp_path: Path) -> None:
    conv = 'layer { name: "%s" type: "Convolution" bottom: "%s" top: "%s" convolution_param { %s } }'
    same = "num_output: 3 bias_term: false kernel_size: 3 pad: 1 stride: %d"
    text = HDF5 + conv % ("a", "data", "a", same % 1)
    text += 'layer { name: "p" type: "Pooling" bottom: "a" top: "p" pooling_param { kernel_size: 3 pad: 1 } }'
    text += 'layer { name: "sum" type: "Eltwise" bottom: "p" bottom: "data" top: "sum" }'
    definition = tmp_path / "net.prototxt"
    definition.write_text(text)
    weights = write_caffemodel(tmp_path / "net.caffemodel", {"a": [np.ones((3, 3, 3, 3))]})
    assert converters.load(definition, weights).meta["report"].outputs == {"sum": "Nx3xdata_2xdata_3"}
    definition.write_text(text.replace(same % 1, same % 2))
    with pytest.raises(converters.FormatError, match=r"shapes differ.*--input-shape data=N,C,H,W"):
        converters.load(definition, weights)
