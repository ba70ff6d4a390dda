"""Inspecting a file: its layers or data, and what of them would convert."""

from __future__ import annotations

import numpy as np
from corpus_cases import CORPUS

import converters


def linear(outputs: int) -> tuple:
    return "nn.Linear", {"weight": np.ones((outputs, 3), np.float32), "bias": np.zeros(outputs, np.float32)}


def test_inspecting_a_network_lists_its_layers():
    found = converters.inspect(CORPUS / "torch7-models" / "resnet18-thin" / "net.t7")
    assert found.complete
    assert found.inputs == {"input": "Nx3xHxW"}
    first = found.layers[0]
    assert (first.name, first.type) == ("conv1", "nn.SpatialConvolution")
    assert first.shapes == ["Nx8xH_1xW_1"]
    assert first.parameters == ["weight 8x3x7x7"]
    assert (
        found.parameters
        == converters.load(CORPUS / "torch7-models" / "resnet18-thin" / "net.t7").meta["report"].parameters
    )


def test_inspecting_says_which_modules_stop_it(save_t7):
    net = (
        "nn.Sequential",
        {"modules": [linear(2), ("nn.Linaer", {}), ("nn.SpatialFractionalMaxPooling", {})]},
    )
    found = converters.inspect(save_t7(net))
    assert not found.complete
    assert [(row.name, row.problem is None) for row in found.layers] == [
        ("net", True),
        ("modules.1", True),
        ("modules.2", False),
        ("modules.3", False),
    ]


def test_inspecting_data_shows_it_entry_by_entry(save_t7):
    found = converters.inspect(
        save_t7({"epoch": 7, "file": "model_7.t7", "state": {"m": np.ones((2, 3), np.float32)}})
    )
    assert found.kind == "Torch7 data"
    assert found.complete
    assert [(row.name, row.type, row.shapes) for row in found.layers] == [
        ("epoch", "the number 7", []),
        ("file", "the string 'model_7.t7'", []),
        ("state.m", "torch.FloatTensor", ["2x3"]),
    ]


def test_data_without_tensors_has_nothing_to_convert(save_t7):
    found = converters.inspect(save_t7({"epoch": 7}))
    assert not found.complete
    assert found.problems == ["neither a network nor tensors, but a table of 1 entries: nothing to convert"]


def test_inspecting_a_net_of_open_shape_says_what_to_give():
    found = converters.inspect(CORPUS / "torch7" / "ReLU" / "net.t7")
    assert not found.complete
    assert found.problems == [
        "the net does not say what shape its input 'input' has; give it, "
        "such as --input-shape input=N,3,224,224"
    ]
