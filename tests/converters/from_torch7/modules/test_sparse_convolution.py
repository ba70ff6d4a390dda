"""Convolutions with weights in a special layout, against NumPy and PyTorch."""

# One row for each case; wrapped rows would be unreadable.
# ruff: noqa: E501

from __future__ import annotations

import pytest
import torch.nn.functional as F  # noqa: N812
from torch7_cases import X3, X4, t, values

BIAS = values(4, seed=3)


WINDOWS = [
    ("cudnn.TemporalConvolution", {"inputFrameSize": 6, "outputFrameSize": 4, "nInputPlane": 1, "nOutputPlane": 4, "kW": 6, "kH": 2, "dW": 1, "dH": 1, "padW": 0, "padH": 1, "weight": values(4, 12), "bias": BIAS}, X3,
     lambda: F.conv1d(t(X3).mT, t(values(4, 12)).reshape(4, 2, 6).mT, t(BIAS), padding=1).mT),
    ("nn.SpatialDepthWiseConvolution", {"nInputPlane": 4, "nOutputPlane": 2, "kH": 2, "kW": 2, "dH": 1, "dW": 1, "padH": 0, "padW": 0, "weight": values(2, 4, 2, 2), "bias": values(2, 4)}, X4,
     lambda: F.conv2d(t(X4), t(values(2, 4, 2, 2).swapaxes(0, 1).reshape(8, 1, 2, 2)), t(values(2, 4).T.reshape(8)), groups=4)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "fields", "given", "expected"), WINDOWS)
def test_windows(check_output, name, fields, given, expected):
    check_output(name, fields, [given], expected().numpy(), atol=2e-5)
