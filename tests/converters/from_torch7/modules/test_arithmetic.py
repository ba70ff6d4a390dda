"""Arithmetic with constants and weights, and regularisers, against NumPy and PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
from torch7_cases import X2, X4, values

ELEMENTWISE = [
    ("cudnn.Dropout", {"p": 0.3}, lambda x: x),
    ("nn.MulConstant", {"constant_scalar": -3}, lambda x: -3 * x),
    ("nn.WhiteNoise", {"mean": 0.5, "std": 1}, lambda x: x + 0.5),
    ("nn.Mul", {"weight": np.array([1.5], np.float32)}, lambda x: 1.5 * x),
    ("nn.Add", {"bias": np.array([2.5], np.float32), "scalar": True}, lambda x: x + 2.5),
]  # fmt: skip


@pytest.mark.parametrize(("name", "fields", "expected"), ELEMENTWISE)
def test_elementwise(check_output, name, fields, expected):
    check_output(name, fields, [X2], expected(X2.astype(np.float64)), atol=2e-6)


CASES = [
    ("nn.AddConstant", {"constant_scalar": values(6)}, X2, X2 + values(6)),
    ("nn.Add", {"bias": values(6)}, X2, X2 + values(6)),
    ("nn.Add", {"bias": values(3, 6, seed=4)}, X2, X2 + values(3, 6, seed=4)),
    ("nn.CMul", {"weight": values(1, 4, 1, 1)}, X4, X4 * values(1, 4, 1, 1)),
    ("nn.CMul", {"weight": values(4, 7, 6)}, X4, X4 * values(4, 7, 6)),
    ("nn.CMul", {"weight": values(18)}, X2, X2 * values(18).reshape(3, 6)),
    ("nn.CAdd", {"bias": values(6)}, X2, X2 + values(6)),
    ("nn.Constant", {"value": values(5)}, X2, values(5)),
    ("nn.Constant", {"value": values(5), "nInputDim": 1}, X2, np.tile(values(5), (3, 1))),
    ("fbnn.Constant", {"value": values(5)}, X2, np.tile(values(5), (3, 1))),
]  # fmt: skip


@pytest.mark.parametrize(("name", "fields", "given", "expected"), CASES)
def test_tensor_in_tensor_out(check_output, name, fields, given, expected):
    check_output(name, fields, [given], expected)
