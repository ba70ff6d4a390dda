"""Layers that rearrange or cut axes: rules of BVLC that no recorded case shows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from corpus_cases import run_onnx, run_pytorch
from reference_nets import assert_close, computed, layer, write_net

import converters

X = np.random.default_rng(0).standard_normal((2, 3, 4, 6))


def test_a_crop_reference_may_have_more_axes(tmp_path: Path) -> None:
    inputs = {"x": X, "r": np.zeros((2, 3, 2, 3, 5))}
    got = computed(tmp_path, layer("Crop", "x r", "y", "crop_param { offset: 1 }"), inputs)["y"]
    assert_close(got, X[:, :, 1:3, 1:4])


def test_argmax_of_a_scalar_is_refused(tmp_path: Path) -> None:
    with pytest.raises(converters.FormatError, match="takes 1 or more axes, a bottom is scalar"):
        converters.load(*write_net(tmp_path, layer("ArgMax", "x", "y"), {"x": ()}))


SELECTED = layer("Filter", "x s", "f", name="filter")


ITEMS = np.random.default_rng(2).standard_normal((7, 2, 3))


SELECTION = np.array([1.0, 0, 2, -1, 0, 0.5, 0])


def test_a_crop_to_as_many_items_as_were_selected(tmp_path: Path) -> None:
    inputs = {"x": ITEMS, "s": SELECTION, "r": np.zeros((3, 1, 2))}
    crops = layer("Crop", "x f", "first", "crop_param { axis: 0 }", "c1")
    crops += layer("Crop", "f r", "second", "crop_param { axis: 0 offset: 1 offset: 1 offset: 0 }", "c2")
    got = computed(tmp_path, SELECTED + crops, inputs)
    assert_close(got["first"], ITEMS[:4])
    assert_close(got["second"], ITEMS[SELECTION != 0][1:4, 1:2, :2])


@pytest.mark.parametrize("crop", ["f r", "x f"])
def test_a_crop_of_too_few_items_ends_the_run(crop: str, tmp_path: Path) -> None:
    """Behind an offset of 1, the crop wants 4 of 4 selected items, or 7 (all are selected) of 7 items."""
    net = SELECTED + layer("Crop", crop, "y", "crop_param { axis: 0 offset: 1 offset: 0 offset: 0 }")
    shapes = {"x": ITEMS.shape, "s": SELECTION.shape} | ({"r": (4, 2, 3)} if "r" in crop else {})
    model = converters.load(*write_net(tmp_path, net, shapes))
    converters.save(model, tmp_path / "net.onnx")
    converters.save(model, tmp_path / "net.py")
    selection = SELECTION if "r" in crop else np.ones(7)
    inputs = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    inputs["s"] = selection.astype(np.float32)
    with pytest.raises(Exception, match="'split' input"):
        run_onnx(tmp_path / "net.onnx", inputs)
    with pytest.raises(RuntimeError, match="split_sizes"):
        run_pytorch(tmp_path / "net.py", inputs, model)


def test_a_crop_cannot_leave_the_selected_items(tmp_path: Path) -> None:
    net = (
        SELECTED
        + layer("Power", "f", "g", name="power")
        + layer("Crop", "f g", "y", "crop_param { axis: 0 offset: 1 offset: 0 offset: 0 }")
    )
    with pytest.raises(converters.FormatError, match="axis 0: offset 1"):
        converters.load(*write_net(tmp_path, net, {"x": ITEMS.shape, "s": SELECTION.shape}))
