"""Padding and cropping, against NumPy and PyTorch."""

# One row for each case; wrapped rows would be unreadable.
# ruff: noqa: E501

from __future__ import annotations

import numpy as np
import pytest
from torch7_cases import X2, X4

CASES = [
    ("nn.Padding", {"dim": 1, "pad": -2, "value": 7, "nInputDim": 1}, X2, np.pad(X2, [(0, 0), (2, 0)], constant_values=7)),
    ("nn.Padding", {"dim": 1, "pad": -2, "value": 7, "index": 4}, X2, np.pad(X2, [(0, 2), (0, 0)], constant_values=7)),
    ("nn.Padding", {"dim": 1, "pad": 2, "value": 7, "index": 4}, X2, np.pad(X2, [(2, 0), (0, 0)], constant_values=7)),
    ("nn.SpatialZeroPadding", {"pad_l": -1, "pad_r": 2, "pad_t": 0, "pad_b": -3}, X4, np.pad(X4[:, :, :-3, 1:], [(0, 0)] * 3 + [(0, 2)])),
    ("nn.SpatialSymmetricPadding", {"pad_l": 3, "pad_r": 1, "pad_t": 0, "pad_b": 2}, X4, np.pad(X4, [(0, 0), (0, 0), (0, 2), (3, 1)], "symmetric")),
    ("nn.SpatialSymmetricPadding", {"pad_l": -1, "pad_r": 2, "pad_t": 1, "pad_b": -2}, X4, np.pad(X4[:, :, :-2, 1:], [(0, 0), (0, 0), (1, 0), (0, 2)], "symmetric")),
]  # fmt: skip


@pytest.mark.parametrize(("name", "fields", "given", "expected"), CASES)
def test_tensor_in_tensor_out(check_output, name, fields, given, expected):
    check_output(name, fields, [given], expected)
