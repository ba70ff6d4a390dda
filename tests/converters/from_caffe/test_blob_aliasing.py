"""Blobs that share memory, and blob names that Caffe refuses, where no recorded case has them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from reference_nets import assert_close, exposed, layer, write_net

import converters

X = np.random.default_rng(0).standard_normal((2, 4, 3))


RELU = np.maximum(X, 0)


SPLIT = layer("Split", "x", "a b", name="split") + layer("ReLU", "a", "a", name="relu")


CUT = layer("Slice", "x", "a b", "slice_param { axis: 1 }", "slice") + layer("ReLU", "a", "a", name="relu")


@pytest.mark.parametrize(
    ("net", "wanted"),
    [
        # Split's tops share their memory, also where no output needs the one that is changed
        (SPLIT, {"b": RELU}),
        (SPLIT, {"x": RELU}),
        # a layer that read the blob before has the old values
        (layer("AbsVal", "x", "early", name="early") + SPLIT, {"early": np.abs(X), "b": RELU}),
        (
            layer("Flatten", "x", "flat", name="flat")
            + layer("ReLU", "flat", "flat", name="relu")
            + layer("AbsVal", "x", "y", name="late"),
            {"y": RELU},
        ),
        # the single top of a Concat or Slice with a single bottom is the memory of that bottom
        (layer("Concat", "x", "a", name="join") + layer("ReLU", "a", "a", name="relu"), {"x": RELU}),
        (layer("Slice", "x", "a", name="slice") + layer("ReLU", "a", "a", name="relu"), {"x": RELU}),
        # several tops are copies
        (CUT, {"x": X, "b": X[:, 2:]}),
        (CUT + layer("AbsVal", "x", "y", name="late"), {"a": RELU[:, :2], "y": np.abs(X)}),
    ],
)
def test_a_change_in_place_shows_in_every_blob_of_the_same_memory(
    net: str, wanted: Mapping[str, np.ndarray], tmp_path: Path
) -> None:
    got = exposed(tmp_path, net, X, list(wanted))
    for name, value in wanted.items():
        assert_close(got.get(f"{name}_out", got.get(name)), value)


def test_a_layer_without_the_bottom_it_shares_is_refused(tmp_path: Path) -> None:
    with pytest.raises(converters.FormatError, match=r"has 0 bottom\(s\)"):
        converters.load(*write_net(tmp_path, layer("Flatten", "", "y"), {"x": X.shape}))


def test_a_nameless_blob_is_refused(tmp_path: Path) -> None:
    net = 'layer { name: "l" type: "ReLU" bottom: "x" top: "" }'
    with pytest.raises(converters.FormatError, match="without a name"):
        converters.load(*write_net(tmp_path, net, {"x": X.shape}))
