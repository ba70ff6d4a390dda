"""Which output of a net answers, where that is certain; and what is said of the outputs where it is not."""

from __future__ import annotations

import json

import cv2
import numpy as np
import onnx
import pytest
from caffemodel_writer import write_caffemodel
from command_line import runner
from detector import write_detector
from onnx import TensorProto, helper

OPTIONS = ["--flavour", "caffe-warp32", "--crop", "32", "--mean", "127", "--scale", str(1 / 127)]
# A map of 2x2 places; each predicts one box of two classes by 7 numbers, by a convolution of 16x16 pixels.
YOLO = """
name: "yolo"
input: "data" input_shape { dim: 1 dim: 3 dim: 32 dim: 32 }
layer { name: "map" type: "Convolution" bottom: "data" top: "map"
  convolution_param { num_output: 7 kernel_size: 16 stride: 16 } }
layer { name: "det" type: "%s" bottom: "map" top: "det" %s }
"""
KINDS = {
    "YoloDetectionOutput": "yolo_detection_output_param { confidence_threshold: 0.3 nms_threshold: 0.45 "
    "num_classes: 2 num_box: 1 biases: 1 biases: 1 }",
    "Yolov3DetectionOutput": "yolov3_detection_output_param { confidence_threshold: 0.3 nms_threshold: 0.45 "
    "num_classes: 2 num_box: 1 biases: 16 biases: 16 mask: 0 anchors_scale: 16 mask_group_num: 1 }",
}


@pytest.fixture
def dsd_zoo(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("DSD_ZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return runner(monkeypatch, capsys)


def write_net(path, outputs):
    """A net of one image with these outputs, by name: the shape, and its input as they are made of it."""
    nodes, values, constants = [], [], []
    for name, shape in outputs.items():
        constants.append(helper.make_tensor(f"{name}.shape", TensorProto.INT64, [len(shape)], shape))
        nodes.append(helper.make_node("Reshape", ["part", f"{name}.shape"], [name]))
        values.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
    for name, number in (("start", 0), ("end", 84), ("axis", 0)):
        constants.append(helper.make_tensor(name, TensorProto.INT64, [1], [number]))
    constants.append(helper.make_tensor("flat", TensorProto.INT64, [1], [-1]))
    nodes = [
        helper.make_node("Reshape", ["data", "flat"], ["all"]),
        helper.make_node("Slice", ["all", "start", "end", "axis"], ["part"]),
        *nodes,
    ]
    given = helper.make_tensor_value_info("data", TensorProto.FLOAT, [1, 3, 32, 32])
    graph = helper.make_graph(nodes, "net", [given], values, constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8), path)


@pytest.mark.parametrize("kind", KINDS)
def test_boxes_of_yolo_layers_are_boxes(dsd_zoo, tmp_path, kind):
    """The place that is green holds an object in its middle; by hand, it is the place itself."""
    weights = np.zeros((7, 3, 16, 16), np.float32)
    # The object and its class: +-12 where the mean of the green channel is +-1 after the mean and the scale.
    for row, sign in ((4, 1), (5, 1), (6, -1)):
        weights[row, 1] = sign * 12 / 256
    definition = tmp_path / "net.prototxt"
    definition.write_text(YOLO % (kind, KINDS[kind]))
    model = write_caffemodel(tmp_path / "net.caffemodel", {"map": [weights, np.zeros(7, np.float32)]})
    image = np.zeros((60, 100, 3), np.uint8)
    image[30:, :50] = (0, 255, 0)
    cv2.imwrite("green.png", image)
    done = dsd_zoo("predict", definition, model, "green.png", *OPTIONS, "--json", "-o", "boxes.png")
    assert done.code == 0, done.err
    (box,) = [box for box in json.loads(done.out)["predictions"][0]["boxes"] if box["score"] > 0.5]
    assert box["index"] == 1
    corners = [box[side] for side in ("left", "top", "right", "bottom")]
    np.testing.assert_allclose(corners, [0, 30, 50, 60], atol=0.01)
    assert (cv2.imread("boxes.png") != image).any()


def test_the_only_list_of_boxes_among_several_outputs_is_the_answer(dsd_zoo, tmp_path):
    net = write_detector(tmp_path)
    text = net[0].read_text()
    # Its convolution of the places becomes a second output, as nobody reads the copy.
    net[0].write_text(text + 'layer { name: "copy" type: "Power" bottom: "conf" top: "copy" }\n')
    image = np.zeros((32, 32, 3), np.uint8)
    image[8:16, 16:24] = (0, 255, 0)
    cv2.imwrite("cells.png", image)
    done = dsd_zoo("predict", *net, "cells.png", *OPTIONS, "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    (box,) = [box for box in found["predictions"][0]["boxes"] if box["score"] > 0.5]
    corners = [box[side] for side in ("left", "top", "right", "bottom")]
    np.testing.assert_allclose(corners, [16, 8, 24, 16], atol=1e-3)
    assert '["detection_out"]' in found["code"]["onnxruntime"].replace("'", '"')


@pytest.mark.parametrize(
    ("outputs", "says"),
    [
        ({"a": [1, 84], "b": [1, 1, 12, 7], "c": [1, 1, 12, 7]}, "say which output ranks the classes"),
        ({"a": [1, 12, 7], "b": [12, 7]}, "say which output ranks the classes"),
        ({"a": [1, 3, 4, 7]}, "expected one row of class scores per image"),
    ],
)
def test_otherwise_it_is_said_what_the_outputs_are(dsd_zoo, outputs, says):
    write_net("net.onnx", outputs)
    cv2.imwrite("grey.png", np.full((32, 32, 3), 99, np.uint8))
    refused = dsd_zoo("predict", "net.onnx", "grey.png", *OPTIONS)
    assert refused.code == 2
    assert says in refused.err
    for name, shape in outputs.items():
        assert f"    {name}  {'x'.join(map(str, shape))}\n" in refused.err


def test_regions_of_faster_rcnn_are_named(dsd_zoo, corpus):
    """Its net takes a second input, which is no image; its outputs become boxes by more than the net."""
    cv2.imwrite("grey.png", np.full((32, 32, 3), 99, np.uint8))
    refused = dsd_zoo("predict", corpus / "caffe-forks" / "proposal-6" / "net.prototxt", "grey.png", *OPTIONS)
    assert refused.code == 2
    assert "takes score and delta and info, and predict gives a net one image" in refused.err
    assert (
        "Proposal: regions that may hold an object: image, and corners in pixels of the net's" in refused.err
    )
    # The second top has their scores.
    assert refused.err.count("regions that may hold") == 1
