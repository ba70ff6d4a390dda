"""Convolutions of BVLC: rules that no recorded case shows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from reference_nets import assert_close, computed, layer, write_net

import converters

X = np.random.default_rng(0).standard_normal((2, 3, 4, 6))


CONVOLUTION_CASES = {
    # A kernel of 3 over 2 columns, stride 2: C++ rounds -1 / 2 to 0, so there is one window, zeros beyond.
    "convolution-kernel-beyond-its-input": (
        "Im2col",
        "convolution_param { kernel_h: 1 kernel_w: 3 stride: 2 }",
        X[:, :1, :1, :2],
        np.pad(X[:, 0, 0, :2], ((0, 0), (0, 1)))[:, :, None, None],
    ),
    "im2col-of-another-axis": (
        "Im2col",
        "convolution_param { kernel_size: 4 axis: 2 }",
        X[..., :5].swapaxes(2, 3)[:, :, :2, :],
        X[..., :5].swapaxes(2, 3)[:, :, :2, :].reshape(2, 3, 8, 1),
    ),
}


@pytest.mark.parametrize("name", CONVOLUTION_CASES)
def test_convolution_case(name: str, tmp_path: Path) -> None:
    kind, parameters, x, wanted = CONVOLUTION_CASES[name]
    assert_close(computed(tmp_path, layer(kind, "x", "y", parameters), {"x": x})["y"], wanted)


@pytest.mark.parametrize("size", [2, 3, 4, 5])
def test_bilinear_filler(size: int, tmp_path: Path) -> None:
    """The kernel of every size is symmetric about its centre, also where no upsampling factor fits."""
    parameters = (
        f"convolution_param {{ num_output: 1 kernel_size: {size} bias_term: false "
        'weight_filler { type: "bilinear" } }'
    )
    one = {"x": np.ones((1, 1, 1, 1))}
    got = computed(tmp_path, layer("Deconvolution", "x", "y", parameters), one)["y"]
    centre = (size - 1) / 2
    weight = 1 - np.abs(np.arange(size) - centre) / np.ceil(size / 2)
    assert_close(got[0, 0], np.outer(weight, weight))


@pytest.mark.parametrize("kind", ["Convolution", "Deconvolution"])
def test_a_convolution_without_spatial_axes_is_a_product(kind: str, tmp_path: Path) -> None:
    weight = np.random.default_rng(1).standard_normal((4, 3) if kind == "Convolution" else (3, 4))
    net = layer(kind, "x", "y", "convolution_param { num_output: 4 kernel_size: 3 pad: 1 bias_term: false }")
    got = computed(tmp_path, net, {"x": X[:, :, 0, 0]}, {"layer": [weight]})["y"]
    assert_close(got, X[:, :, 0, 0] @ (weight.T if kind == "Convolution" else weight))


def test_a_convolution_with_tf_pad_is_refused(tmp_path: Path) -> None:
    net = layer("Convolution", "x", "y", "convolution_param { num_output: 2 kernel_size: 1 tf_pad: true }")
    with pytest.raises(converters.UnsupportedError, match="tf_pad"):
        converters.load(*write_net(tmp_path, net, {"x": (1, 2, 3, 4)}))
