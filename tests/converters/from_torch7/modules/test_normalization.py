"""Batch normalisation and local normalisation, against NumPy and PyTorch."""

# One row for each case; wrapped rows would be unreadable.
# ruff: noqa: E501

from __future__ import annotations

import numpy as np
import pytest
import torch.nn.functional as F  # noqa: N812
from torch7_cases import X4, t, values

BIAS = values(4, seed=3)


CASES = [
    ("nn.SpatialBatchNormalization", {"running_mean": BIAS, "running_var": np.abs(BIAS), "eps": 0.1}, X4, (X4 - BIAS[:, None, None]) / np.sqrt(np.abs(BIAS) + 0.1)[:, None, None]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "fields", "given", "expected"), CASES)
def test_tensor_in_tensor_out(check_output, name, fields, given, expected):
    check_output(name, fields, [given], expected)


WINDOWS = [
    ("cudnn.SpatialCrossMapLRN", {"size": 3, "alpha": 0.3, "beta": 0.5, "K": 2}, X4, lambda: F.local_response_norm(t(X4), 3, 0.3, 0.5, 2)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "fields", "given", "expected"), WINDOWS)
def test_windows(check_output, name, fields, given, expected):
    check_output(name, fields, [given], expected().numpy(), atol=2e-5)


def test_spatial_divisive_normalization(run_net):
    kernel = np.full((3, 3), 1 / 36, np.float32)
    weight = np.broadcast_to(kernel, (1, 4, 3, 3)).copy()
    conv = (
        "nn.SpatialConvolution",
        {
            "weight": weight,
            "bias": np.zeros(1, np.float32),
            "kH": 3,
            "kW": 3,
            "nInputPlane": 4,
            "nOutputPlane": 1,
            "padH": 0,
            "padW": 0,
        },
    )
    pad = ("nn.SpatialZeroPadding", {f"pad_{side}": 1 for side in "lrtb"})
    replicate = ("nn.Replicate", {"nfeatures": 4, "dim": 1, "ndim": 3})
    means = ("nn.Sequential", {"modules": [pad, conv, replicate]})
    deviations = ("nn.Sequential", {"modules": [("nn.Square", {}), pad, conv, replicate, ("nn.Sqrt", {})]})
    thresholder = ("nn.Threshold", {"threshold": 0.9, "val": 0.5})
    fields = {
        "nInputPlane": 4,
        "meanestimator": means,
        "stdestimator": deviations,
        "thresholder": thresholder,
    }
    (got,) = run_net(("nn.SpatialDivisiveNormalization", fields), X4)

    def smooth(x: np.ndarray) -> np.ndarray:
        return F.conv2d(t(x), t(weight), padding=1).numpy()

    local = np.sqrt(smooth(X4**2)) / smooth(np.ones_like(X4))
    np.testing.assert_allclose(got, X4 / np.where(local > 0.9, local, 0.5), atol=1e-5)
