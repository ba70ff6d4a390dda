"""Elementwise layers: rules of BVLC that no recorded case shows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from reference_nets import assert_close, computed, layer, rng, write_net

import converters

X = np.random.default_rng(0).standard_normal((2, 3, 4, 6))


ACTIVATION_CASES = {
    "clip-with-crossed-bounds": ("Clip", "clip_param { min: 0.5 max: 0.2 }", X, np.full(X.shape, 0.5)),
}


@pytest.mark.parametrize("name", ACTIVATION_CASES)
def test_activation_case(name: str, tmp_path: Path) -> None:
    kind, parameters, x, wanted = ACTIVATION_CASES[name]
    assert_close(computed(tmp_path, layer(kind, "x", "y", parameters), {"x": x})["y"], wanted)


def test_dropout_that_trains_at_inference_is_refused(tmp_path: Path) -> None:
    net = layer("Dropout", "x", "y", "phase: TRAIN")
    with pytest.raises(converters.UnsupportedError, match="random dropout"):
        converters.load(*write_net(tmp_path, net, {"x": X.shape}))


@pytest.mark.parametrize(("alpha", "factor"), [(1, 1), (1.6733, 1.0507), (0.5, -2), (2, 0.25), (1, 3)])
def test_elu_of_nvidia(tmp_path: Path, alpha: float, factor: float) -> None:
    x = rng().normal(size=(2, 3, 4))
    net = layer("ELU", "x", "y", f"elu_param {{ alpha: {alpha} lambda: {factor} }}")
    wanted = factor * np.where(x > 0, x, alpha * (np.exp(x) - 1))
    assert_close(computed(tmp_path, net, {"x": x})["y"], wanted)
