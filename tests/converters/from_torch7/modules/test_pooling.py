"""Pooling, against NumPy and PyTorch."""

# One row for each case; wrapped rows would be unreadable.
# ruff: noqa: E501

from __future__ import annotations

import numpy as np
import pytest
import torch.nn.functional as F  # noqa: N812
from torch7_cases import X3, X4, X5, t, values

BIAS = values(4, seed=3)
K4 = values(4, 2, 2, seed=5)


CASES = [
    ("nn.TemporalMaxPooling", {"kW": 2, "dW": 2}, X3, F.max_pool1d(t(X3).mT, 2, 2).mT.numpy()),
    ("nn.TemporalMaxPooling", {"kW": 3, "dW": 1}, X3[0], F.max_pool1d(t(X3[0]).T, 3, 1).T.numpy()),
    ("nn.SpatialAdaptiveAveragePooling", {"H": 3, "W": 4}, X4, F.adaptive_avg_pool2d(t(X4), (3, 4)).numpy()),
    ("nn.SpatialAdaptiveMaxPooling", {"H": 3, "W": 4}, X4[0], F.adaptive_max_pool2d(t(X4[0]), (3, 4)).numpy()),
    ("nn.SpatialAdaptiveMaxPooling", {"H": 1, "W": 1}, X4, X4.max((2, 3), keepdims=True)),
    ("nn.FeatureLPPooling", {"width": 3, "stride": 2, "power": 4, "batch_mode": False}, np.abs(X3), (np.stack([(np.abs(X3)[k : k + 3] ** 4).sum(0) for k in (0,)]) ** 0.25)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "fields", "given", "expected"), CASES)
def test_tensor_in_tensor_out(check_output, name, fields, given, expected):
    check_output(name, fields, [given], expected)


WINDOWS = [
    ("nn.VolumetricMaxPooling", {"kT": 2, "kH": 2, "kW": 3, "dT": 2, "dH": 2, "dW": 2, "padT": 0, "padH": 0, "padW": 1, "ceil_mode": True}, X5,
     lambda: F.max_pool3d(t(X5), (2, 2, 3), 2, (0, 0, 1), ceil_mode=True)),
    ("nn.SpatialDilatedMaxPooling", {"kH": 2, "kW": 3, "dH": 1, "dW": 4, "padH": 0, "padW": 1, "dilationH": 1, "dilationW": 2, "ceil_mode": True}, X4[..., :4].copy(),
     lambda: F.max_pool2d(t(X4[..., :4].copy()), (2, 3), (1, 4), (0, 1), (1, 2), ceil_mode=True)),
    ("inn.SpatialMaxPooling", {"kH": 3, "kW": 3, "dH": 2, "dW": 2}, X4, lambda: F.max_pool2d(t(X4), 3, 2, ceil_mode=True)),
    ("inn.SpatialAveragePooling", {"kH": 2, "kW": 2, "dH": 2, "dW": 2}, X4, lambda: F.avg_pool2d(t(X4), 2, 2, ceil_mode=True)),
    ("nn.SpatialSubSampling", {"nInputPlane": 4, "kH": 2, "kW": 3, "dH": 2, "dW": 1, "weight": BIAS, "bias": -BIAS}, X4,
     lambda: F.avg_pool2d(t(X4), (2, 3), (2, 1)) * 6 * t(BIAS)[:, None, None] - t(BIAS)[:, None, None]),
    # Old files: channels x window, of which Torch reads the first elements.
    ("nn.SpatialSubSampling", {"nInputPlane": 4, "kH": 2, "kW": 2, "dH": 2, "dW": 1, "weight": K4, "bias": BIAS}, X4,
     lambda: F.avg_pool2d(t(X4), 2, (2, 1)) * 4 * t(K4).reshape(-1)[:4, None, None] + t(BIAS)[:, None, None]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "fields", "given", "expected"), WINDOWS)
def test_windows(check_output, name, fields, given, expected):
    check_output(name, fields, [given], expected().numpy(), atol=2e-5)
