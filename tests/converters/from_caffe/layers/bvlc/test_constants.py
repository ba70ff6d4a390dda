"""Layers without bottoms: rules of BVLC that no recorded case shows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from corpus_cases import run_pytorch
from reference_nets import assert_close, computed, layer, write_net

import converters

X = np.random.default_rng(0).standard_normal((2, 3, 4, 6))


@pytest.mark.parametrize(
    ("sizes", "complaint"),
    [
        ("num: 2 channels: 3 channels: 3 height: 4 width: 6", None),
        ("num: 2 num: 2 num: 2 channels: 3 height: 4 width: 6", "3 shapes or sizes"),
        ("num: 2 channels: 3 height: 4", "0 shapes or sizes"),
        ("num: 2 channels: 3 height: 4 width: 6 shape { dim: 1 }", "both shape and the sizes"),
    ],
)
def test_dummy_data_sizes_are_given_once_or_per_top(
    sizes: str, complaint: str | None, tmp_path: Path
) -> None:
    net = layer("DummyData", "", "a b", f"dummy_data_param {{ data_filler {{ value: 2 }} {sizes} }}", "dummy")
    net += layer("Eltwise", "x a b", "y")
    if complaint is None:
        assert_close(computed(tmp_path, net, {"x": X})["y"], X + 4)
        return
    with pytest.raises(converters.FormatError, match=complaint):
        converters.load(*write_net(tmp_path, net, {"x": X.shape}))


def test_a_clipped_weight_has_a_pytorch_form(tmp_path: Path) -> None:
    net = layer("Parameter", "", "w", "parameter_param { shape { dim: 2 } }", "w")
    net += layer("Clip", "w", "clipped", "clip_param { min: 0 max: 6 }", "clip") + layer(
        "Bias", "x clipped", "y", "bias_param { axis: 0 }", "b"
    )
    model = converters.load(*write_net(tmp_path, net, {"x": X.shape}, {"w": [np.array([-1.0, 7.0])]}))
    converters.save(model, tmp_path / "net.py")
    got = run_pytorch(tmp_path / "net.py", {"x": X.astype(np.float32)}, model)["y"]
    assert_close(got, X + np.array([0, 6]).reshape(2, 1, 1, 1))
