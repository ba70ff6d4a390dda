"""Elementwise functions and the softmax family, against NumPy and PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
from torch7_cases import X2, X3, X4, X5, softmax, values

BIAS = values(4, seed=3)


ELEMENTWISE = [
    ("nn.Abs", {}, np.abs),
    ("nn.LogSigmoid", {}, lambda x: -np.log1p(np.exp(-x))),
    ("nn.SoftSign", {}, lambda x: x / (1 + np.abs(x))),
    ("nn.Power", {"pow": 3}, lambda x: x**3),
    ("nn.HardTanh", {}, lambda x: np.clip(x, -1, 1)),
    ("nn.HardTanh", {"min_val": -0.3, "max_val": 0.6}, lambda x: np.clip(x, -0.3, 0.6)),
    ("nn.LeakyReLU", {"negval": 0.05}, lambda x: np.where(x > 0, x, 0.05 * x)),
    ("nn.ELU", {"alpha": 0.5}, lambda x: np.where(x > 0, x, 0.5 * np.expm1(x))),
    (
        "nn.SoftPlus",
        {"beta": 2, "threshold": 1},
        lambda x: np.where(2 * x > 1, x, np.log1p(np.exp(2 * x)) / 2),
    ),
    ("nn.SoftShrink", {"lambda": 0.2}, lambda x: np.sign(x) * np.maximum(np.abs(x) - 0.2, 0)),
    ("nn.Threshold", {"threshold": 0.1, "val": -2}, lambda x: np.where(x > 0.1, x, -2)),
    ("cudnn.ClippedReLU", {"ceiling": 0.7}, lambda x: np.clip(x, 0, 0.7)),
    ("cudnn.Tanh", {"mode": "CUDNN_ACTIVATION_TANH"}, np.tanh),
]  # fmt: skip


@pytest.mark.parametrize(("name", "fields", "expected"), ELEMENTWISE)
def test_elementwise(check_output, name, fields, expected):
    check_output(name, fields, [X2], expected(X2.astype(np.float64)), atol=2e-6)


CASES = [
    ("nn.PReLU", {"nOutputPlane": 4, "weight": BIAS}, X4, np.where(X4 > 0, X4, X4 * BIAS[:, None, None])),
    ("nn.PReLU", {"nOutputPlane": 4, "weight": BIAS}, X3, np.where(X3 > 0, X3, X3 * BIAS[:, None, None])),
    ("nn.PReLU", {"nOutputPlane": 6, "weight": values(6)}, X2, np.where(X2 > 0, X2, X2 * values(6))),
    ("nn.SoftMax", {}, X3, softmax(X3, 0)),
    ("nn.LogSoftMax", {}, X2, np.log(softmax(X2, 1))),
    ("nn.SpatialSoftMax", {}, X4, softmax(X4, 1)),
    ("cudnn.SoftMax", {}, X3, softmax(X3, (0, 1, 2))),
    ("cudnn.LogSoftMax", {}, X4, np.log(softmax(X4, (1, 2, 3)))),
    ("cudnn.SpatialLogSoftMax", {}, X4, np.log(softmax(X4, 1))),
    ("cudnn.VolumetricSoftMax", {}, X5, softmax(X5, 1)),
    ("nn.GatedLinearUnit", {}, X2, X2[:, :3] / (1 + np.exp(-X2[:, 3:]))),
    ("nn.LeakyReLU", {"negative_scale": 0.1}, X2, np.where(X2 > 0, X2, 0.1 * X2)),
    ("nn.Clip", {"minval": -0.2, "maxval": 0.7}, X2, X2.clip(-0.2, 0.7)),
    ("nn.SAdd", {"addend": -1, "negate": True}, X2, 1 - X2),
]  # fmt: skip


@pytest.mark.parametrize(("name", "fields", "given", "expected"), CASES)
def test_tensor_in_tensor_out(check_output, name, fields, given, expected):
    check_output(name, fields, [given], expected)


def test_leaky_relu_with_a_slope_as_weight(run_net):
    fields = {"weight": np.array([0.3], np.float32), "nOutputPlane": 0}
    (got,) = run_net(("fbnn.LeakyReLU", fields), X2)
    np.testing.assert_allclose(got, np.where(X2 > 0, X2, 0.3 * X2), atol=1e-6)
