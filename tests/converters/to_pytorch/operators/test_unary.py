"""Operators of one operand, element by element, against ONNX Runtime."""

from __future__ import annotations

import numpy as np
import pytest
from arrays import values

X = values(2, 3, 4, 5) * 3

SMALL = np.clip(values(2, 3, 4, 5), -0.9, 0.9)

POSITIVE = np.abs(X) + 0.1

HALVES = np.array([[-2.5, -1.5, -0.5, -0.0, 0.0, 0.5, 1.5, 2.5, 3.2]], np.float32)

SPECIAL = np.array([[np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0]], np.float32)

INTEGERS = np.array([[-7, -6, 7, 8], [5, -5, 1, 0]], np.int64)

BOOLS = np.array([[True, False, True], [False, False, True]])

FUNCTIONS = [
    *[(name, X) for name in ("Abs", "Atan", "Asinh", "Cos", "Erf", "Exp", "Neg", "Sign", "Sin", "Tan")],
    *[(name, values(2, 7)) for name in ("Cosh", "Sinh")],
    *[(name, SMALL) for name in ("Acos", "Asin", "Atanh")],
    *[(name, POSITIVE) for name in ("Log", "Reciprocal", "Sqrt")],
    *[(name, HALVES) for name in ("Ceil", "Floor", "Round", "Sign")],
    ("Acosh", POSITIVE + 1),
    ("Abs", INTEGERS),
    ("Neg", INTEGERS),
    ("Sign", INTEGERS),
    ("Abs", X.astype(np.float64)),
    ("Sqrt", POSITIVE.astype(np.float64)),
    ("IsNaN", SPECIAL),
    ("Not", BOOLS),
    ("Identity", X),
]


@pytest.mark.parametrize(("op_type", "x"), FUNCTIONS, ids=lambda v: v if isinstance(v, str) else "")
def test_function(agree_on, op_type, x):
    agree_on(op_type, [x])
