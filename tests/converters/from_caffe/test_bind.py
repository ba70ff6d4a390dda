"""Parameters of layers: found by name, checked, shared, filled, or missing with a reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from caffemodel_writer import write_caffemodel
from reference_nets import assert_close, computed, exposed, layer, shared, write_net

import converters

DEFINITION = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 2 } } }
layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc" inner_product_param { num_output: 3 } }
"""


@pytest.mark.parametrize(
    ("layers", "says"),
    [
        (
            {"fc": [np.ones((3, 2)), np.ones(3), np.ones(1)]},
            r"needs 2 parameter blob\(s\) \(weight, bias\), .* holds 3",
        ),
        ({"fc": [np.ones((3, 4)), np.ones(3)]}, "the definition makes weight 3x2, net.caffemodel holds 3x4"),
        ({"fc2": [np.ones((3, 2)), np.ones(3)]}, "the closest stored name is 'fc2'"),
        ({}, "holds 0 layers with parameters"),
    ],
)
def test_weights_that_do_not_fit_are_refused(
    tmp_path: Path, layers: dict[str, list[np.ndarray]], says: str
) -> None:
    definition = tmp_path / "net.prototxt"
    definition.write_text(DEFINITION)
    weights = write_caffemodel(tmp_path / "net.caffemodel", layers)
    with pytest.raises(converters.MismatchError, match=says) as caught:
        converters.convert([definition, weights], tmp_path / "net.onnx")
    assert "layer 'fc' (InnerProduct)" in str(caught.value)
    assert not (tmp_path / "net.onnx").exists()


def test_surplus_weights_are_reported(tmp_path: Path) -> None:
    definition = tmp_path / "net.prototxt"
    definition.write_text(DEFINITION)
    layers = {"fc": [np.ones((3, 2)), np.ones(3)], "old": [np.ones(4)]}
    weights = write_caffemodel(tmp_path / "net.caffemodel", layers)
    assert converters.convert([weights, definition], tmp_path / "net.onnx").unused_weights == ["old"]


TWO_LAYERS = DEFINITION + (
    'layer { name: "head" type: "InnerProduct" bottom: "fc" top: "head" '
    "inner_product_param { num_output: 2 } }"
)


def test_a_missing_layer_is_zero_as_in_caffe_and_reported(tmp_path: Path) -> None:
    """Without a filler, Caffe's default is a constant 0. The recorded case is match-missing-zero."""
    definition = tmp_path / "net.prototxt"
    definition.write_text(TWO_LAYERS)
    weights = write_caffemodel(tmp_path / "net.caffemodel", {"fc": [np.ones((3, 2)), np.ones(3)]})
    report = converters.convert([definition, weights], tmp_path / "net.onnx")
    assert report.notes == [
        "layer 'head' is not in the weights file: its weights are 0, as Caffe makes them without a filler"
    ]


@pytest.mark.parametrize(
    ("definition", "layers"),
    [
        # a renamed layer: one is missing in the net, and one is too many in the file
        (TWO_LAYERS, {"fc": [np.ones((3, 2)), np.ones(3)], "head_old": [np.ones((2, 3)), np.ones(2)]}),
        # a random filler shows that the layer was meant to be trained
        (
            TWO_LAYERS.replace("num_output: 2", 'num_output: 2 weight_filler { type: "xavier" }'),
            {"fc": [np.ones((3, 2)), np.ones(3)]},
        ),
    ],
)
def test_a_missing_layer_is_an_error_where_zero_is_not_meant(
    tmp_path: Path, definition: str, layers: dict[str, list[np.ndarray]]
) -> None:
    path = tmp_path / "net.prototxt"
    path.write_text(definition)
    weights = write_caffemodel(tmp_path / "net.caffemodel", layers)
    with pytest.raises(converters.MismatchError, match=r"layer 'head' \(InnerProduct\) needs its weight"):
        converters.convert([path, weights], tmp_path / "net.onnx")


def test_a_definition_without_weights_says_what_is_missing(tmp_path: Path) -> None:
    definition = tmp_path / "net.prototxt"
    definition.write_text(DEFINITION)
    with pytest.raises(converters.MismatchError, match=r"needs its weight \(3x2\).*add the \.caffemodel"):
        converters.load(definition)


X = np.random.default_rng(0).standard_normal((2, 4, 3))


LEARNED = "parameter_param { shape { dim: 4 dim: 6 } }"


PRODUCT = "inner_product_param {{ num_output: 2 bias_term: {} {} }}"


def test_a_shared_parameter_is_filled_as_its_owner_says(tmp_path: Path) -> None:
    fillers = [f"weight_filler {{ value: {value} }}" for value in (1, 5)] + [""]
    net = "".join(
        shared(f"fc{k}", PRODUCT.format("false", filler), "x", f"y{k}", ["w"])
        for k, filler in enumerate(fillers)
    )
    got = computed(tmp_path, net, {"x": X})
    for k in range(3):
        assert_close(got[f"y{k}"], X.sum((1, 2))[:, None] * np.ones((2, 2)))


def test_a_layer_may_share_with_itself(tmp_path: Path) -> None:
    parameters = "scale_param { num_axes: 0 bias_term: true filler { value: 3 } }"
    net = layer("Scale", "x", "y", 'param { name: "w" } param { name: "w" } ' + parameters)
    assert_close(computed(tmp_path, net, {"x": X})["y"], 3 * X + 3)
    stored = {"layer": [np.array(5.0), np.array(2.0)]}
    assert_close(computed(tmp_path, net, {"x": X}, stored)["y"], 2 * X + 2)


@pytest.mark.parametrize("stored_last", ["one", "two"])
def test_a_permissive_share_may_have_another_shape(stored_last: str, tmp_path: Path) -> None:
    values = np.random.default_rng(1).standard_normal((2, 12))
    net = layer("InnerProduct", "x", "a", 'param { name: "w" } ' + PRODUCT.format("false", ""), "one")
    net += layer("Parameter", "", "b", 'param { name: "w" share_mode: PERMISSIVE } ' + LEARNED, "two")
    shapes = {"one": (2, 12), "two": (4, 6)}
    blobs = {
        name: [values.reshape(shapes[name])] for name in sorted(shapes, key=lambda name: name == stored_last)
    }
    got = computed(tmp_path, net, {"x": X}, blobs)
    assert_close(got["a"], X.reshape(2, 12) @ values.T)
    assert_close(got["b"], values.reshape(4, 6))


def test_of_two_layers_with_one_name_the_first_has_the_weights_whichever_is_wanted(tmp_path: Path) -> None:
    product = PRODUCT.format("false", "weight_filler { value: 1 }")
    net = layer("InnerProduct", "x", "y1", product, "fc") + layer("InnerProduct", "x", "y2", product, "fc")
    weights = write_net(tmp_path, "", {}, {"fc": [np.full((2, 12), 3.0)]})[1]
    total = X.sum((1, 2))[:, None] * np.ones((2, 2))
    assert_close(exposed(tmp_path, net, X, ["y1"], weights)["y1"], 3 * total)
    assert_close(exposed(tmp_path, net, X, ["y2"], weights)["y2"], total)
    learned = "parameter_param { shape { dim: 2 dim: 12 } }"
    net = layer("Parameter", "", "a", learned, "fc") + layer("Parameter", "", "b", learned, "fc")
    with pytest.raises(converters.MismatchError, match="the first gets what"):
        exposed(tmp_path, net, X, ["b"], weights)


def test_weights_whose_layer_has_a_namesake_without_parameters_are_refused(tmp_path: Path) -> None:
    product = PRODUCT.format("false", "")
    net = layer("ReLU", "x", "a", name="fc") + layer("InnerProduct", "a", "y", product, "fc")
    weights = write_net(tmp_path, "", {}, {"fc": [np.full((2, 12), 3.0)]})[1]
    with pytest.raises(converters.MismatchError, match="the first layer of that name"):
        exposed(tmp_path, net, X, ["y"], weights)
