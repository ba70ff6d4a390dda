"""The batch of a converted net: symbolic wherever Caffe takes any; each item has the same result."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest
from corpus_cases import CORPUS, DEFAULT_TOLERANCE, Case, assert_agrees, run_onnx, run_pytorch
from reference_nets import assert_close, computed, layer, write_net

import converters

CAFFE = CORPUS / "caffe"


CASES = sorted(
    path.parent.name
    for path in CAFFE.glob("*/case.json")
    if (meta := json.loads(path.read_text()))["inputs"] and "quirk" not in meta
)


# Inputs whose batch stays the declared one, because ...
FIXED = {
    # ... the first axis is one of the sizes of the parameters, or is cut at fixed places
    **dict.fromkeys(["bias-axis0", "conv-axis0", "ip-axis0", "slice-axis0"], "data"),
    "crop-axis0": "data ref",
    # ... it is combined with a constant blob
    **dict.fromkeys(["dummydata-const", "dummydata-legacy", "parameter-eltwise"], "data"),
    # ... their first axis is no batch, but matches the second or third axis of the other bottom
    **dict.fromkeys(["scale-2b-bias", "scale-2b-c", "scale-2b-hw", "scale-2b-inplace"], "s"),
    **dict.fromkeys(["bias-2bottom-inplace", "bias-2bottom-tail"], "b"),
}


# Nets that compute over their batch: the result of an item depends on the others.
MIXING = {
    "batchreindex-identity",
    "batchreindex-repeat",
    "bn-global-false",
    "bn-global-false-2d",
    "fold-bn-batchstats",
    "rule-layer-phase",
}


def batch_axes(values: list[ir.Value]) -> dict[str, int]:
    """The batch axis of each value that has one: its size is N, N2, ..., but not 2*N."""
    found = {}
    for value in values:
        places = [k for k, size in enumerate(value.shape or []) if re.fullmatch(r"N\d*", str(size))]
        found.update({str(value.name): axis for axis in places})
    return found


def bound(model: ir.Model) -> set[str]:
    """The inputs whose batch is fixed."""
    return {str(v.name) for v in model.graph.inputs if v.shape} - batch_axes(model.graph.inputs).keys()


@pytest.mark.parametrize("name", sorted(FIXED.keys() | MIXING))
def test_only_these_batches_are_fixed(name: str) -> None:
    case = Case.load(CAFFE / name)
    assert bound(converters.load(*case.sources, **case.options)) == set(FIXED.get(name, "").split())


@pytest.mark.parametrize("name", [name for name in CASES if name not in FIXED.keys() | MIXING])
def test_every_other_is_free_and_an_item_gives_what_it_gave(name: str, tmp_path: Path) -> None:
    """The last recorded item, the first one twice, the last again."""
    case = Case.load(CAFFE / name)
    model = converters.load(*case.sources, **case.options)
    assert bound(model) == set()
    ins, outs = batch_axes(model.graph.inputs), batch_axes(model.graph.outputs)
    items = [-1, 0, 0, -1]
    inputs = {k: np.take(v, items, axis=ins[k]) if k in ins else v for k, v in case.inputs.items()}
    wanted = {k: np.take(v, items, axis=outs[k]) for k, v in case.outputs.items() if k in outs}
    tolerance = float(case.meta.get("tolerance", DEFAULT_TOLERANCE))
    converters.save(model, tmp_path / "net.onnx")
    converters.save(model, tmp_path / "net.py")
    assert_agrees(run_onnx(tmp_path / "net.onnx", inputs), wanted, tolerance)
    assert_agrees(run_pytorch(tmp_path / "net.py", inputs, model), wanted, tolerance)


def test_a_batch_asked_for_counts_items_not_steps() -> None:
    case = Case.load(CAFFE / "lstm-basic")
    assert case.inputs["x"].shape == (4, 3, 6)
    graph = converters.load(*case.sources, static_batch=7).graph
    assert {value.name: tuple(value.shape or ()) for value in graph.inputs} == {
        "x": (4, 7, 6),
        "cont": (4, 7),
    }


@pytest.mark.parametrize(
    ("net", "declared", "batched"),
    [
        (
            layer("ReverseTime", "x lengths", "y", "reverse_time_param { copy_remaining: true }"),
            {"x": (4, 2, 3), "lengths": (2,)},
            {"x": (4, "N", 3), "lengths": ("N",)},
        ),
        (
            layer("CTCGreedyDecoder", "x cont", "y"),
            {"x": (4, 2, 3), "cont": (4, 2)},
            {"x": (4, "N", 3), "cont": (4, "N")},
        ),
        # time-major through a layer that keeps time, but not through one that rearranges it
        (
            layer("TanH", "x", "t", name="tanh") + layer("Lstm", "t", "y", "lstm_param { num_output: 2 }"),
            {"x": (4, 2, 3)},
            {"x": (4, "N", 3)},
        ),
        (
            layer("Reshape", "x", "t", "reshape_param { shape { dim: 1 dim: -1 dim: 3 } }", "turn")
            + layer("Lstm", "t", "y", "lstm_param { num_output: 2 }"),
            {"x": (4, 3)},
            {"x": ("N", 3)},
        ),
    ],
)
def test_where_the_batch_of_a_sequence_is(
    net: str, declared: dict[str, tuple[int, ...]], batched: dict[str, tuple[int | str, ...]], tmp_path: Path
) -> None:
    lstm = {"layer": [np.ones((8, 3)), np.ones((8, 2)), np.ones(8)]} if "Lstm" in net else None
    inputs = converters.load(*write_net(tmp_path, net, declared, lstm)).graph.inputs
    shapes = {v.name: tuple(s if isinstance(s, int) else str(s) for s in v.shape or ()) for v in inputs}
    assert shapes == batched


def test_the_report_says_whose_batch_is_fixed() -> None:
    model = converters.load(*Case.load(CAFFE / "scale-2b-c").sources)
    assert model.meta["report"].notes == [
        "the batch of s is fixed: a layer of this net mixes or counts its items"
    ]


@pytest.mark.parametrize("items", [1, 2, 5])
@pytest.mark.parametrize(
    ("net", "wanted"),
    [
        (layer("ArgMax", "x", "y", "argmax_param { axis: 0 }"), lambda x: x.argmax(0)[None]),
        (layer("ArgMax", "x", "y", "argmax_param { axis: 0 out_max_val: true }"), lambda x: x.max(0)[None]),
        # the last of equal values
        (
            layer("Concat", "x x", "xx", "concat_param { axis: 0 }", "twice")
            + layer("ArgMax", "xx", "y", "argmax_param { axis: 0 }"),
            lambda x: len(x) + x.argmax(0)[None],
        ),
        # the batch repeated three times has at least three items
        (
            layer("Tile", "x", "t", "tile_param { axis: 0 tiles: 3 }", "thrice")
            + layer("Slice", "t", "a b y", "slice_param { axis: 0 slice_point: 1 slice_point: 2 }"),
            lambda x: np.tile(x, (3, 1, 1))[2:],
        ),
        (
            layer("Tile", "x", "t", "tile_param { axis: 0 tiles: 3 }", "thrice")
            + layer("Slice", "t", "a y b", "slice_param { axis: 0 }"),
            lambda x: x,
        ),
        (
            layer("Tile", "x", "t", "tile_param { axis: 0 tiles: 3 }", "thrice")
            + layer("Crop", "t x", "y", "crop_param { axis: 0 offset: 2 offset: 0 offset: 0 }"),
            lambda x: np.tile(x, (3, 1, 1))[2 : 2 + len(x)],
        ),
        # one window of each plane: a row for each plane and each place in the window
        (
            layer("Im2col", "x", "y", "convolution_param { axis: 0 kernel_size: 3 kernel_size: 4 }"),
            lambda x: x.reshape(len(x) * 12, 1, 1),
        ),
    ],
)
def test_layers_that_work_across_the_batch(
    items: int, net: str, wanted: Callable[[np.ndarray], np.ndarray], tmp_path: Path
) -> None:
    """Declared with a batch of 2."""
    x = np.random.default_rng(items).standard_normal((items, 3, 4))
    assert_close(computed(tmp_path, net, {"x": x}, declared={"x": (2, 3, 4)})["y"], wanted(x))


X = np.random.default_rng(0).standard_normal((2, 4, 3))


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
