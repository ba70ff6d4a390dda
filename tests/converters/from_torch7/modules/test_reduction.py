"""Sums, means and extremes along a dimension, against NumPy and PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
from torch7_cases import X2, X3

ELEMENTWISE = [
    ("nn.Sum", {"dimension": 1, "squeeze": False}, lambda x: x.sum(0, keepdims=True)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "fields", "expected"), ELEMENTWISE)
def test_elementwise(check_output, name, fields, expected):
    check_output(name, fields, [X2], expected(X2.astype(np.float64)), atol=2e-6)


CASES = [
    ("nn.Max", {"dimension": 1}, X2[0], X2[0].max(keepdims=True)),
    ("nn.Mean", {"dimension": -1}, X3, X3.mean(2)),
    ("nn.Min", {"dimension": 1, "nInputDims": 2}, X3, X3.min(1)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "fields", "given", "expected"), CASES)
def test_tensor_in_tensor_out(check_output, name, fields, given, expected):
    check_output(name, fields, [given], expected)
