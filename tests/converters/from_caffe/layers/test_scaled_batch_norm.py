"""BatchNorm layers of forks that hold their own scale and bias, against float64 references."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import reference_shapes as reference
from reference_nets import assert_close, computed, layer, rng, write_net

import converters


def five_blobs() -> dict[str, np.ndarray]:
    blobs = {name: rng(k).normal(size=3) for k, name in enumerate(("mean", "scale", "bias"), 1)}
    blobs["variance"] = rng(4).uniform(1e-5, 2, 3)
    return {name: values.astype(np.float32) for name, values in blobs.items()}


def expected(x: np.ndarray, b: dict[str, np.ndarray], eps: float, factor: float = 1) -> np.ndarray:
    normal = reference.standardised(x, b["mean"] / factor, b["variance"] / factor, eps)
    return reference.scaled(normal, b["scale"], b["bias"])


@pytest.mark.parametrize(
    ("parameters", "eps"),
    [
        ("scale_bias: true", 1e-5),
        ("scale_bias: true eps: 1e-3", 1e-3),
        ("scale_bias: true eps: 1e-9", 1e-5),
        ("scale_filler { value: 1 }", 1e-5),
        ("bias_filler { value: 0 } use_global_stats: true", 1e-5),
    ],
)
@pytest.mark.parametrize("reserved", [1.0, 0.0])
def test_nvidias_batch_norm(tmp_path: Path, parameters: str, eps: float, reserved: float) -> None:
    x, b = rng().normal(size=(2, 3, 4, 5)), five_blobs()
    blobs = [b["mean"], b["variance"], np.array([reserved]), b["scale"], b["bias"]]
    text = layer("BatchNorm", "x", "y", f"batch_norm_param {{ {parameters} }}")
    assert_close(computed(tmp_path, text, {"x": x}, {"layer": blobs})["y"], expected(x, b, eps))


@pytest.mark.parametrize("parameters", ["scale_bias: true", ""])
def test_five_blobs_of_four_axes(tmp_path: Path, parameters: str) -> None:
    """As cuDNN's engine stores them."""
    x, b = rng().normal(size=(2, 3, 4, 5)), five_blobs()
    blobs = [b["mean"], b["variance"], np.ones(1), b["scale"], b["bias"]]
    text = layer("BatchNorm", "x", "y", f"batch_norm_param {{ {parameters} }}")
    got = computed(tmp_path, text, {"x": x}, {"layer": [blob.reshape(1, -1, 1, 1) for blob in blobs]})["y"]
    assert_close(got, expected(x, b, 1e-5))


def test_a_factor_that_nvidias_batch_norm_would_not_divide_by_is_refused(tmp_path: Path) -> None:
    b = five_blobs()
    blobs = [b["mean"], b["variance"], np.array([7.0]), b["scale"], b["bias"]]
    text = layer("BatchNorm", "x", "y", "batch_norm_param { scale_bias: true }")
    sources = write_net(tmp_path, text, {"x": (1, 3, 2, 2)}, {"layer": blobs})
    with pytest.raises(converters.UnsupportedError, match="third blob is 7"):
        converters.load(*sources)


def test_nvidias_batch_norm_in_the_order_of_digits(tmp_path: Path) -> None:
    x, b = rng().normal(size=(2, 3, 4, 5)), five_blobs()
    blobs = [b["scale"], b["bias"], b["mean"], b["variance"], np.array([5.0])]
    text = layer("BatchNorm", "x", "y", "batch_norm_param { scale_bias: true }")
    assert_close(computed(tmp_path, text, {"x": x}, {"layer": blobs})["y"], expected(x, b, 1e-5))


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("factor", [1.0, 4.0])
@pytest.mark.parametrize("parameters", ["", "use_weight_bias: true bias_term: true", "bias_term: false"])
def test_intels_batch_norm(tmp_path: Path, relu: bool, factor: float, parameters: str) -> None:
    x, b = rng().normal(size=(2, 3, 4, 5)), five_blobs()
    blobs = [b["mean"], b["variance"], np.array([factor]), b["scale"], b["bias"]]
    if "bias_term: false" in parameters:
        b["bias"] = np.zeros(3)
        blobs.pop()
    text = layer(
        "BatchNorm", "x", "y", f"batch_norm_param {{ {parameters} {'relu: true' if relu else ''} eps: 1e-9 }}"
    )
    wanted = expected(x, b, 1e-9, factor)
    got = computed(tmp_path, text, {"x": x}, {"layer": blobs})["y"]
    assert_close(got, np.maximum(wanted, 0) if relu else wanted)


def test_five_blobs_in_an_order_that_forks_read_differently_are_refused(tmp_path: Path) -> None:
    b = five_blobs()
    blobs = [b["scale"], b["bias"], b["mean"], b["variance"], np.array([5.0])]
    sources = write_net(tmp_path, layer("BatchNorm", "x", "y"), {"x": (1, 3, 2, 2)}, {"layer": blobs})
    with pytest.raises(converters.UnsupportedError, match="scale_bias: true"):
        converters.load(*sources)


@pytest.mark.parametrize(
    ("parameters", "counter"), [("", 1), ("scale_bias: true", 1), ("scale_bias: true", 250)]
)
def test_the_order_of_nvidias_version_015_takes_eps_as_it_is(
    tmp_path: Path, parameters: str, counter: float
) -> None:
    x, b = rng().normal(size=(2, 3, 4, 5)), five_blobs()
    b["variance"] = b["variance"] * np.float32(1e-6)
    blobs = [b["scale"], b["bias"], b["mean"], b["variance"], np.array([counter])]
    text = layer("BatchNorm", "x", "y", f"batch_norm_param {{ {parameters} eps: 1e-9 }}")
    got = computed(tmp_path, text, {"x": x}, {"layer": blobs})
    assert_close(got["y"], expected(x, b, 1e-9))


def test_five_blobs_of_one_channel_do_not_tell_their_order(tmp_path: Path) -> None:
    text = layer("BatchNorm", "x", "y", "batch_norm_param { scale_bias: true }")
    sources = write_net(tmp_path, text, {"x": (1, 1, 2, 2)}, {"layer": [np.ones(1)] * 5})
    with pytest.raises(converters.UnsupportedError, match="order"):
        converters.load(*sources)


def test_bvlcs_batch_norm_still_divides_by_its_factor(tmp_path: Path) -> None:
    x, b = rng().normal(size=(2, 3, 4, 5)), five_blobs()
    blobs = [b["mean"], b["variance"], np.array([2.0])]
    got = computed(tmp_path, layer("BatchNorm", "x", "y"), {"x": x}, {"layer": blobs})
    assert_close(got["y"], reference.standardised(x, b["mean"] / 2, b["variance"] / 2, 1e-5))
