"""Modules that select by index or mask, against NumPy and PyTorch."""

# One row for each case; wrapped rows would be unreadable.
# ruff: noqa: E501

from __future__ import annotations

import numpy as np
import pytest
from torch7_cases import X2, values

W = values(6, 4, seed=1)
BIAS = values(4, seed=3)


CASES = [
    ("nn.LookupTable", {"weight": W}, np.array([[1, 6], [2, 2]]), W[[[0, 5], [1, 1]]]),
    ("nn.OneHot", {"outputSize": 3}, np.array([[1, 3], [2, 0]]), np.eye(4)[[[1, 3], [2, 0]]][..., 1:]),
    ("nn.SparseLinear", {"weight": W.T.copy(), "bias": BIAS}, np.array([[[1, 2], [3, -1]], [[6, 1], [6, 1]]], np.float32), np.stack([2 * W[0] - W[2], 2 * W[5]]) + BIAS),
    ("nn.LookupTableMaskZero", {"weight": values(4, 6)}, np.array([[1, 3], [0, 2]]), np.where([[[1], [1]], [[0], [1]]], values(4, 6)[[[1, 3], [0, 2]]], 0)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "fields", "given", "expected"), CASES)
def test_tensor_in_tensor_out(check_output, name, fields, given, expected):
    check_output(name, fields, [given], expected)


TABLES = [
    ("nn.Index", {"dimension": 2}, [X2, np.array([6, 1])], X2[:, [5, 0]]),
    ("nn.IndexLinear", {"weight": W, "bias": BIAS}, [np.array([1, 3, 2]), np.array([1, 2, 3], np.float32), np.array([2, 1])], np.stack([W[0] + 2 * W[2], 3 * W[1]]) + BIAS),
    ("nn.SparseLinear", {"weight": W.T.copy()}, [np.array([[2, 3]], np.float32), np.array([[1, 1], [4, 2]], np.float32)], np.stack([3 * W[1], W[0] + 2 * W[3]])),
    ("nn.IndexLinear", {"weight": W, "bias": BIAS, "offset": -1, "normalize": 0}, [np.array([1, 3]), np.array([2]), np.array([1, 2], np.float32), np.array([3], np.float32)], np.stack([W[0] + 2 * W[2], 3 * W[1]]) + BIAS),
]  # fmt: skip


@pytest.mark.parametrize(("name", "fields", "given", "expected"), TABLES)
def test_table_in_tensor_out(check_output, name, fields, given, expected):
    check_output(name, fields, given, expected)


def test_index_linear_normalises_by_the_largest_value_seen(run_net):
    largest = np.array([2, 0.5, 1, 1, 1, 1], np.float32)
    extra = np.stack([largest, 1 / largest, np.zeros(6, np.float32), np.full(6, 0.25, np.float32)], 1)
    fields = {"weight": np.concatenate([extra, W], 1), "bias": BIAS, "offset": -1, "normalize": 4}
    (got,) = run_net(("nn.IndexLinear", fields), np.array([1, 2]), np.array([1, -3], np.float32))
    np.testing.assert_allclose(got, (0.5 + 0.25) * W[0] + (-1 + 0.25) * W[1] + BIAS, atol=1e-5)
