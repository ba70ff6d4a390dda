"""How Caffe wires a net and shares its memory and parameters, where no recorded case spells it out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np
import pytest
from corpus_cases import run_onnx
from reference_nets import assert_close, computed, layer, write_net

import converters

X = np.random.default_rng(0).standard_normal((2, 4, 3))
RELU = np.maximum(X, 0)
LEARNED = "parameter_param { shape { dim: 4 dim: 6 } }"
PRODUCT = "inner_product_param {{ num_output: 2 bias_term: {} {} }}"


def exposed(folder: Path, net: str, outputs: Sequence[str], *more: Path) -> dict[str, np.ndarray]:
    """These blobs of a net with the input x."""
    sources = write_net(folder, net, {"x": X.shape})
    converters.convert([*sources, *more], folder / "net.onnx", outputs=outputs)
    return run_onnx(folder / "net.onnx", {"x": X.astype(np.float32)})


def test_an_output_made_in_place_on_an_input_gets_a_name_of_its_own(tmp_path: Path) -> None:
    net = layer("ReLU", "x", "x") + layer("Power", "x", "y", "power_param { scale: 2 }", "double")
    got = exposed(tmp_path, net, ["x", "y"])
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


SPLIT = layer("Split", "x", "a b", name="split") + layer("ReLU", "a", "a", name="relu")
CUT = layer("Slice", "x", "a b", "slice_param { axis: 1 }", "slice") + layer("ReLU", "a", "a", name="relu")


@pytest.mark.parametrize(
    ("net", "wanted"),
    [
        # Split's tops are one memory, also where nothing needs the one that is changed
        (SPLIT, {"b": RELU}),
        (SPLIT, {"x": RELU}),
        # what read it before has the old values
        (layer("AbsVal", "x", "early", name="early") + SPLIT, {"early": np.abs(X), "b": RELU}),
        (
            layer("Flatten", "x", "flat", name="flat")
            + layer("ReLU", "flat", "flat", name="relu")
            + layer("AbsVal", "x", "y", name="late"),
            {"y": RELU},
        ),
        # one top of Concat or Slice that is all of its bottom is its memory
        (layer("Concat", "x", "a", name="join") + layer("ReLU", "a", "a", name="relu"), {"x": RELU}),
        (layer("Slice", "x", "a", name="slice") + layer("ReLU", "a", "a", name="relu"), {"x": RELU}),
        # several are copies
        (CUT, {"x": X, "b": X[:, 2:]}),
        (CUT + layer("AbsVal", "x", "y", name="late"), {"a": RELU[:, :2], "y": np.abs(X)}),
    ],
)
def test_a_change_in_place_shows_in_every_blob_of_the_same_memory(
    net: str, wanted: Mapping[str, np.ndarray], tmp_path: Path
) -> None:
    got = exposed(tmp_path, net, list(wanted))
    for name, value in wanted.items():
        assert_close(got.get(f"{name}_out", got.get(name)), value)


def shared(name: str, parameters: str, bottom: str, top: str, names: Sequence[str]) -> str:
    """An InnerProduct whose parameters have these names ("" for one of its own)."""
    specs = " ".join(f'param {{ name: "{n}" }}' if n else "param { }" for n in names)
    return layer("InnerProduct", bottom, top, f"{specs} {parameters}", name)


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


def write_h5(folder: Path, blobs: Mapping[str, Mapping[int, np.ndarray]]) -> Path:
    """Caffe's HDF5 weights: blobs by layer name and number."""
    path = folder / "net.caffemodel.h5"
    with h5py.File(path, "w") as file:
        for name, numbered in blobs.items():
            group = file.create_group(f"data/{name}")
            for number, array in numbered.items():
                group.create_dataset(str(number), data=array.astype(np.float32))
    return path


@pytest.mark.parametrize("names", [["", "b"], ["w", ""], ["w", "b"]])
def test_hdf5_leaves_out_what_a_layer_shares(names: list[str], tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    one, two = ([random.standard_normal((2, 12)), random.standard_normal(2)] for _ in range(2))
    kept = {k: two[k] for k in range(2) if not names[k]}
    weights = write_h5(tmp_path, {"one": dict(enumerate(one)), "two": kept})
    net = shared("one", PRODUCT.format("true", ""), "x", "y1", names)
    net += shared("two", PRODUCT.format("true", ""), "x", "y2", names)
    weight, bias = (one[k] if names[k] else two[k] for k in range(2))
    wanted = X.reshape(2, 12) @ weight.T + bias
    assert_close(exposed(tmp_path, net, ["y1", "y2"], weights)["y2"], wanted)
    # also where the layer that it is stored with is not needed
    assert_close(exposed(tmp_path, net, ["y2"], weights)["y2"], wanted)


def test_hdf5_must_hold_what_a_layer_has_for_itself(tmp_path: Path) -> None:
    weights = write_h5(tmp_path, {"one": {0: np.ones((2, 12))}})
    net = layer("InnerProduct", "x", "y", PRODUCT.format("true", ""), "one")
    with pytest.raises(converters.MismatchError, match="needs its bias"):
        exposed(tmp_path, net, ["y"], weights)


def test_of_two_layers_with_one_name_the_first_has_the_weights_whichever_is_wanted(tmp_path: Path) -> None:
    product = PRODUCT.format("false", "weight_filler { value: 1 }")
    net = layer("InnerProduct", "x", "y1", product, "fc") + layer("InnerProduct", "x", "y2", product, "fc")
    weights = write_net(tmp_path, "", {}, {"fc": [np.full((2, 12), 3.0)]})[1]
    total = X.sum((1, 2))[:, None] * np.ones((2, 2))
    assert_close(exposed(tmp_path, net, ["y1"], weights)["y1"], 3 * total)
    assert_close(exposed(tmp_path, net, ["y2"], weights)["y2"], total)
    learned = "parameter_param { shape { dim: 2 dim: 12 } }"
    net = layer("Parameter", "", "a", learned, "fc") + layer("Parameter", "", "b", learned, "fc")
    with pytest.raises(converters.MismatchError, match="goes to the first of several layers"):
        exposed(tmp_path, net, ["b"], weights)


def test_weights_whose_layer_has_a_namesake_without_parameters_are_refused(tmp_path: Path) -> None:
    product = PRODUCT.format("false", "")
    net = layer("ReLU", "x", "a", name="fc") + layer("InnerProduct", "a", "y", product, "fc")
    weights = write_net(tmp_path, "", {}, {"fc": [np.full((2, 12), 3.0)]})[1]
    with pytest.raises(converters.MismatchError, match="the first layer of that name"):
        exposed(tmp_path, net, ["y"], weights)


def test_a_layer_without_the_bottom_it_shares_is_refused(tmp_path: Path) -> None:
    with pytest.raises(converters.FormatError, match=r"has 0 bottom\(s\)"):
        converters.load(*write_net(tmp_path, layer("Flatten", "", "y"), {"x": X.shape}))


def test_a_nameless_blob_is_refused(tmp_path: Path) -> None:
    net = 'layer { name: "l" type: "ReLU" bottom: "x" top: "" }'
    with pytest.raises(converters.FormatError, match="without a name"):
        converters.load(*write_net(tmp_path, net, {"x": X.shape}))


def test_batches_of_different_inputs_can_be_joined(tmp_path: Path) -> None:
    net = layer("Concat", "x y", "z", "concat_param { axis: 0 }")
    inputs = {"x": X, "y": np.concatenate([X, X, X])}
    got = computed(tmp_path, net, inputs, declared={"x": (1, 4, 3), "y": (2, 4, 3)})["z"]
    assert_close(got, np.concatenate([X] * 4))


def test_what_one_selector_picks_from_two_blobs_can_be_joined(tmp_path: Path) -> None:
    net = (
        layer("Filter", "x s", "a", name="f")
        + layer("Filter", "y s", "b", name="g")
        + layer("Eltwise", "a b", "z")
    )
    inputs = {"x": X, "y": 2 * X, "s": np.array([0.0, 1.0])}
    assert_close(computed(tmp_path, net, inputs)["z"], 3 * X[1:])
    net = layer("Filter", "x s", "a", name="f") + layer("Concat", "x a", "z", "concat_param { axis: 0 }")
    assert_close(computed(tmp_path, net, {"x": X, "s": inputs["s"]})["z"], np.concatenate([X, X[1:]]))
