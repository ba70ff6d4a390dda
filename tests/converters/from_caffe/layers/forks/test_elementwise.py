"""Elementwise layers of Caffe's forks, against float64 references."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import reference_shapes as reference
from reference_nets import assert_close, computed, layer, rng, write_net

import converters


@pytest.mark.parametrize(
    ("shape", "scale_shape"),
    [
        ((2, 3, 4, 5), (2, 3, 1, 1)),
        ((2, 3, 4, 5), (2, 3)),
        ((1, 6, 2), (1, 6)),
        ((3, 4), (3, 4)),
        ((2, 1, 1, 1), (2, 1, 1, 1)),
    ],
)
def test_axpy(tmp_path: Path, shape: tuple[int, ...], scale_shape: tuple[int, ...]) -> None:
    s, x, y = rng().normal(size=scale_shape), rng(1).normal(size=shape), rng(2).normal(size=shape)
    got = computed(tmp_path, layer("Axpy", "s x y", "out"), {"s": s, "x": x, "y": y})
    assert_close(got["out"], reference.axpy(s, x, y))


def test_axpy_refuses_other_shapes(tmp_path: Path) -> None:
    shapes = {"s": (2, 3), "x": (2, 4, 1, 1), "y": (2, 4, 1, 1)}
    with pytest.raises(converters.FormatError, match="the scale must be"):
        converters.load(*write_net(tmp_path, layer("Axpy", "s x y", "out"), shapes))


@pytest.mark.parametrize("slope", [0, 0.1, -0.5])
def test_relu6(tmp_path: Path, slope: float) -> None:
    x = np.linspace(-9, 9, 37).reshape(1, 37)
    text = layer("ReLU6", "x", "y", f"relu6_param {{ negative_slope: {slope} }}")
    wanted = np.minimum(np.maximum(x, 0) + slope * np.minimum(x, 0), 6)
    assert_close(computed(tmp_path, text, {"x": x})["y"], wanted)


def test_relu6_in_place_and_without_parameters(tmp_path: Path) -> None:
    x = rng().normal(size=(2, 3)) * 8
    got = computed(tmp_path, layer("Power", "x", "y") + layer("ReLU6", "y", "y", name="r"), {"x": x})
    assert_close(got["y"], np.clip(x, 0, 6))


@pytest.mark.parametrize("slope", [0, 0.25])
def test_neg_relu(tmp_path: Path, slope: float) -> None:
    x = rng().normal(size=(2, 5))
    text = layer("NegReLU", "x", "y", f"relu_param {{ negative_slope: {slope} }}")
    assert_close(computed(tmp_path, text, {"x": x})["y"], np.where(x < 0, x, x * slope))


def test_cosine_and_spatial_dropout(tmp_path: Path) -> None:
    x = rng().normal(size=(2, 3, 2, 2)) * 4
    text = layer("SpatialDropout", "x", "d", "spatial_dropout_param { dropout_ratio: 0.9 }", name="d")
    got = computed(tmp_path, text + layer("Cosine", "d", "y"), {"x": x})
    assert_close(got["y"], np.cos(x))


@pytest.mark.parametrize(
    ("parameters", "wanted"),
    [
        ("operation: SUBTRACT value: 1 value: 2 value: 3", lambda x, c: x - (c % 3 + 1)),
        ("operation: ADD value: 0.5", lambda x, c: x + 0.5),
        (
            "operation: SUBTRACT value: 2 value: 4 mean_scale: 0.5 input_scale: 0.25 output_scale: 3",
            lambda x, c: 3 * (0.25 * x - 0.5 * (2 if c % 2 == 0 else 4)),
        ),
    ],
)
def test_mean(tmp_path: Path, parameters: str, wanted) -> None:
    x, y = rng().normal(size=(2, 6, 3, 2)), rng(1).normal(size=(1, 6, 2, 2))
    got = computed(tmp_path, layer("Mean", "x y", "a b", f"mean_param {{ {parameters} }}"), {"x": x, "y": y})
    for top, bottom in (("a", x), ("b", y)):
        assert_close(got[top], np.stack([wanted(bottom[:, c], c) for c in range(6)], axis=1))


def test_mean_from_a_file_is_refused(tmp_path: Path) -> None:
    text = layer("Mean", "x", "y", 'mean_param { operation: ADD file: "mean.binaryproto" }')
    with pytest.raises(converters.UnsupportedError, match=r"mean\.binaryproto"):
        converters.load(*write_net(tmp_path, text, {"x": (1, 3, 2, 2)}))


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (1, 1, 2, 2), (3, 2, 1, 7), (2, 4, 3, 1), (1, 5, 1, 1)])
def test_spatial_product(tmp_path: Path, shape: tuple[int, ...]) -> None:
    x, scale = rng().normal(size=shape), rng(1).normal(size=(shape[0], 1, *shape[2:]))
    got = computed(tmp_path, layer("SpatialProduct", "x s", "y"), {"x": x, "s": scale})
    assert_close(got["y"], x * scale)


def test_spatial_product_refuses_another_scale(tmp_path: Path) -> None:
    with pytest.raises(converters.FormatError, match="the scale must be 1x1x4x4"):
        converters.load(*write_net(tmp_path, layer("SpatialProduct", "x x", "y"), {"x": (1, 6, 4, 4)}))
