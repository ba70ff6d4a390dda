"""Convolutions and transposed convolutions, against NumPy and PyTorch."""

# One row for each case; wrapped rows would be unreadable.
# ruff: noqa: E501

from __future__ import annotations

import numpy as np
import pytest
import torch.nn.functional as F  # noqa: N812
from torch7_cases import X4, X5, t, values

BIAS = values(4, seed=3)
K4 = values(4, 4, 3, 2, seed=5)
K5 = values(3, 4, 2, 3, 2, seed=6)


def conv_fields(weight: np.ndarray, sides: str, stride: int = 1, pad: int = 0, **more: object) -> dict:
    """The fields of a convolution class; nInputPlane and nOutputPlane are given by keyword."""
    kernel = dict(zip([f"k{side}" for side in sides], weight.shape[-len(sides) :], strict=True))
    steps = {f"{name}{side}": n for side in sides for name, n in (("d", stride), ("pad", pad))}
    return {"weight": weight, "bias": BIAS, **kernel, **steps, **more}


WINDOWS = [
    ("cudnn.SpatialConvolution", conv_fields(K4[:, :2], "HW", 2, 1, nInputPlane=4, nOutputPlane=4, groups=2), X4,
     lambda: F.conv2d(t(X4), t(K4[:, :2].copy()), t(BIAS), 2, 1, groups=2)),
    ("nn.SpatialDilatedConvolution", conv_fields(K4, "HW", 1, 1, nInputPlane=4, nOutputPlane=4, dilationH=2, dilationW=3), X4[0],
     lambda: F.conv2d(t(X4[:1]), t(K4), t(BIAS), 1, 1, (2, 3))[0]),
    # C cuts off fractions, such as those of a padding of (4 - 1) / 2.
    ("nn.SpatialConvolution", conv_fields(K4, "HW", 1.75, 1.5, nInputPlane=4.25, nOutputPlane=4.5), X4,
     lambda: F.conv2d(t(X4), t(K4), t(BIAS), 1, 1)),
    ("nn.SpatialFullConvolution", conv_fields(K4, "HW", 2.5, 1.5, nInputPlane=4, nOutputPlane=4, adjH=1.5), X4,
     lambda: F.conv_transpose2d(t(X4), t(K4), t(BIAS), 2, 1, (1, 0))),
    ("nn.SpatialFullConvolution", conv_fields(K4, "HW", 2, 1, nInputPlane=4, nOutputPlane=4, adjH=1, adjW=0), X4[0],
     lambda: F.conv_transpose2d(t(X4[:1]), t(K4), t(BIAS), 2, 1, (1, 0))[0]),
    ("cudnn.SpatialFullConvolution", conv_fields(K4[:, :2], "HW", 2, nInputPlane=4, nOutputPlane=4, groups=2), X4,
     lambda: F.conv_transpose2d(t(X4), t(K4[:, :2].copy()), t(BIAS), 2, groups=2)),
    ("nn.VolumetricConvolution", conv_fields(K5.swapaxes(0, 1).copy(), "THW", 1, 1, nInputPlane=3, nOutputPlane=4), X5,
     lambda: F.conv3d(t(X5), t(K5.swapaxes(0, 1).copy()), t(BIAS), 1, 1)),
    ("nn.VolumetricDilatedConvolution", conv_fields(K5.swapaxes(0, 1).copy(), "THW", 1, 1, nInputPlane=3, nOutputPlane=4, dilationT=1, dilationH=2, dilationW=2), X5,
     lambda: F.conv3d(t(X5), t(K5.swapaxes(0, 1).copy()), t(BIAS), 1, 1, (1, 2, 2))),
    ("nn.VolumetricFullConvolution", conv_fields(K5, "THW", 2, 1, nInputPlane=3, nOutputPlane=4, adjT=1, adjH=0, adjW=1), X5[0],
     lambda: F.conv_transpose3d(t(X5[:1]), t(K5), t(BIAS), 2, 1, (1, 0, 1))[0]),
    ("nn.VolumetricFullConvolution", {"weight": K5.swapaxes(0, 1).copy(), "bias": BIAS, "kT": 2, "kH": 3, "kW": 2, "dT": 1, "dH": 2, "dW": 1, "pT": 1, "pH": 0, "pW": 1, "nInputPlane": 3, "nOutputPlane": 4}, X5,
     lambda: F.conv_transpose3d(t(X5), t(K5), t(BIAS), (1, 2, 1), (1, 0, 1))),
]  # fmt: skip


@pytest.mark.parametrize(("name", "fields", "given", "expected"), WINDOWS)
def test_windows(check_output, name, fields, given, expected):
    check_output(name, fields, [given], expected().numpy(), atol=2e-5)
