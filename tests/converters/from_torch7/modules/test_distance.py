"""Distances, similarities and normalisation of vectors, against NumPy and PyTorch."""

# One row for each case; wrapped rows would be unreadable.
# ruff: noqa: E501

from __future__ import annotations

import numpy as np
import pytest
from torch7_cases import X2, values

W = values(6, 4, seed=1)


CASES = [
    ("nn.Euclidean", {"weight": W}, X2, np.linalg.norm(X2[:, :, None] - W, axis=1)),
    ("nn.Euclidean", {"weight": W}, X2[0], np.linalg.norm(X2[0][:, None] - W, axis=0)),
    ("nn.Cosine", {"weight": W.T.copy()}, X2[0], W.T @ X2[0] / np.linalg.norm(W, axis=0) / np.linalg.norm(X2[0])),
    ("nn.Normalize", {"p": 3, "eps": 1e-10}, X2, X2 / (np.abs(X2) ** 3).sum(1, keepdims=True) ** (1 / 3)),
    ("nn.Normalize", {"p": 2, "eps": 1e-10}, X2[0], X2[0] / np.linalg.norm(X2[0])),
]  # fmt: skip


@pytest.mark.parametrize(("name", "fields", "given", "expected"), CASES)
def test_tensor_in_tensor_out(check_output, name, fields, given, expected):
    check_output(name, fields, [given], expected)


TABLES = [
    ("nn.DotProduct", {}, [X2[0], X2[1]], np.array([X2[0] @ X2[1]])),
    ("nn.DotProduct", {}, [X2[0], X2[1:2]], np.array([X2[0] @ X2[1]])),
    ("nn.DotProduct", {}, [X2[:1], X2[1:2].T.copy()], np.array([X2[0] @ X2[1]])),
    ("nn.PairwiseDistance", {"norm": 3}, [X2, X2[::-1].copy()], (np.abs(X2 - X2[::-1]) ** 3).sum(1) ** (1 / 3)),
    ("nn.CosineDistance", {}, [X2[0], X2[1]], np.array([X2[0] @ X2[1] / np.linalg.norm(X2[0]) / np.linalg.norm(X2[1])])),
]  # fmt: skip


@pytest.mark.parametrize(("name", "fields", "given", "expected"), TABLES)
def test_table_in_tensor_out(check_output, name, fields, given, expected):
    check_output(name, fields, given, expected)
