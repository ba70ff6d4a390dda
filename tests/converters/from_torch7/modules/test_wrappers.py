"""Wrappers, against NumPy and PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
import torch.nn.functional as F  # noqa: N812
from torch7_cases import X2, X4, sizes, t, values

BIAS = values(4, seed=3)


def linear(seed: int = 1) -> tuple:
    return "nn.Linear", {"weight": values(4, 6, seed=seed), "bias": BIAS}


def apply_linear(x: np.ndarray, seed: int = 1) -> np.ndarray:
    return x @ values(4, 6, seed=seed).T + BIAS


def test_fire_module_is_the_module_inside(run_net):
    inside = ("nn.Sequential", {"modules": [("nn.ReLU", {"threshold": 0, "val": 0})]})
    (got,) = run_net(("nn.FireModule", {"module": inside, "squeeze": ("nn.Tanh", {})}), X4)
    np.testing.assert_array_equal(got, np.maximum(X4, 0))


@pytest.mark.parametrize(
    "wrapper",
    [
        lambda inner: ("nn.GPU", {"modules": [inner], "device": 1}),
        lambda inner: ("nn.DontCast", {"modules": [inner]}),
        lambda inner: ("nn.Inception", {"module": inner, "modules": [inner]}),
        lambda inner: ("nn.DataParallelTable", {"modules": [inner, inner], "dimension": 1}, 1),
        lambda inner: ("nn.MapTable", {"module": inner, "modules": []}),
    ],
)
def test_wrappers(run_net, wrapper):
    (got,) = run_net(wrapper(linear()), X2)
    np.testing.assert_allclose(got, apply_linear(X2), atol=1e-5)


@pytest.mark.parametrize(
    ("name", "shape", "place"), [("nn.Linear", (4, 6), 1), ("nn.SpatialFullConvolution", (4, 5, 3, 2), 2)]
)
def test_weight_norm_of_any_output_dimension(run_net, name, shape, place):
    weight = values(*shape, seed=9)
    rows = np.moveaxis(weight, place - 1, 0).reshape(shape[place - 1], -1)
    g = np.abs(values(shape[place - 1], seed=3)) + 1
    bias = values(shape[0] if name == "nn.Linear" else shape[1], seed=4)
    scale = g / np.sqrt((rows**2).sum(1) + 1e-4)
    normed = weight * np.expand_dims(scale, [k for k in range(len(shape)) if k != place - 1])
    fields = {"bias": bias, "kH": 3, "kW": 2, "dH": 1, "dW": 1, "nInputPlane": 4, "nOutputPlane": 5}
    front = sizes(shape[place - 1], *shape[: place - 1], *shape[place:])
    norm = {"modules": [(name, fields)], "v": rows, "g": g, "viewOut": front, "outputDim": place}
    given = X2 if name == "nn.Linear" else X4
    (got,) = run_net(("nn.WeightNorm", norm), given)
    wanted = (
        given @ normed.T + bias
        if name == "nn.Linear"
        else F.conv_transpose2d(t(X4), t(normed), t(bias)).numpy()
    )
    np.testing.assert_allclose(got, wanted, atol=2e-5)
