"""Layers that join, split and pick blobs: rules of BVLC that no recorded case shows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from corpus_cases import run_onnx, run_pytorch
from reference_nets import assert_close, computed, layer, write_net

import converters


@pytest.mark.parametrize("shapes", [{"x": (), "s": ()}, {"x": (3, 2), "s": (2,)}])
def test_a_filter_without_a_fitting_selector_is_refused(
    shapes: dict[str, tuple[int, ...]], tmp_path: Path
) -> None:
    with pytest.raises(converters.FormatError, match="selector"):
        converters.load(*write_net(tmp_path, layer("Filter", "x s", "y"), shapes))


SELECTED = layer("Filter", "x s", "f", name="filter")


ITEMS = np.random.default_rng(2).standard_normal((7, 2, 3))


SELECTION = np.array([1.0, 0, 2, -1, 0, 0.5, 0])


@pytest.mark.parametrize(
    ("parameters", "parts"),
    [
        ("axis: 0", [2, 2]),
        ("axis: 0 slice_point: 1", [1, 3]),
        ("axis: 0 slice_point: 1 slice_point: 3", [1, 2, 1]),
    ],
)
def test_selected_items_are_sliced(parameters: str, parts: list[int], tmp_path: Path) -> None:
    tops = [f"y{k}" for k in range(len(parts))]
    net = SELECTED + layer("Slice", "f", " ".join(tops), f"slice_param {{ {parameters} }}")
    got = computed(tmp_path, net, {"x": ITEMS, "s": SELECTION})
    wanted = np.split(ITEMS[SELECTION != 0], np.cumsum(parts)[:-1])
    for top, piece in zip(tops, wanted, strict=True):
        assert_close(got[top], piece)


def test_a_slice_point_behind_the_selected_items_ends_the_run(tmp_path: Path) -> None:
    """Caffe's run ends too: otherwise too few items would be taken for all of them."""
    net = SELECTED + layer("Slice", "f", "a b", "slice_param { axis: 0 slice_point: 5 }")
    model = converters.load(*write_net(tmp_path, net, {"x": ITEMS.shape, "s": SELECTION.shape}))
    converters.save(model, tmp_path / "net.onnx")
    converters.save(model, tmp_path / "net.py")
    inputs = {"x": ITEMS.astype(np.float32), "s": SELECTION.astype(np.float32)}
    with pytest.raises(Exception, match="'split' input"):
        run_onnx(tmp_path / "net.onnx", inputs)
    with pytest.raises(RuntimeError, match="split_sizes"):
        run_pytorch(tmp_path / "net.py", inputs, model)


def test_slice_points_behind_a_filter_must_still_ascend(tmp_path: Path) -> None:
    net = SELECTED + layer("Slice", "f", "a b c", "slice_param { axis: 0 slice_point: 2 slice_point: 2 }")
    with pytest.raises(converters.FormatError, match="ascend"):
        converters.load(*write_net(tmp_path, net, {"x": ITEMS.shape, "s": SELECTION.shape}))
