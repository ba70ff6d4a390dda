"""The names of outputs and blobs in the graph, in cases that no recorded net has."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from reference_nets import assert_close, computed, exposed, layer, write_net

import converters

X = np.random.default_rng(0).standard_normal((2, 4, 3))


RELU = np.maximum(X, 0)


def test_an_output_made_in_place_on_an_input_gets_a_name_of_its_own(tmp_path: Path) -> None:
    net = layer("ReLU", "x", "x") + layer("Power", "x", "y", "power_param { scale: 2 }", "double")
    got = exposed(tmp_path, net, X, ["x", "y"])
    assert list(got) == ["x_out", "y"]
    assert_close(got["x_out"], RELU)
    assert_close(got["y"], 2 * RELU)


def test_the_report_says_how_such_an_output_is_called(tmp_path: Path) -> None:
    report = converters.load(*write_net(tmp_path, layer("ReLU", "x", "x"), {"x": X.shape})).meta["report"]
    assert report.notes == [
        "the output 'x' is called 'x_out': it is computed in place on the input of that name"
    ]


def test_a_blob_may_be_called_like_a_weight(tmp_path: Path) -> None:
    net = layer("Bias", "x", "layer.bias", "bias_param { filler { value: 3 } }")
    assert_close(computed(tmp_path, net, {"x": X})["layer.bias"], X + 3)
