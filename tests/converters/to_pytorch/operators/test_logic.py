"""Choices and tests of infinite values, against ONNX Runtime."""

from __future__ import annotations

import numpy as np
import pytest
from arrays import values

X = values(2, 3, 4, 5) * 3

SPECIAL = np.array([[np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0]], np.float32)


@pytest.mark.parametrize("attributes", [{}, {"detect_negative": 0}, {"detect_positive": 0}])
def test_is_inf(agree_on, attributes):
    agree_on("IsInf", [SPECIAL], attributes, opset=20)


@pytest.mark.parametrize("constant", [(), (1,), (2,), (1, 2)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_where(agree_on, constant, dtype):
    condition = X > 0
    scalars = [np.array(2, dtype), np.array(-1, dtype)]
    agree_on("Where", [condition, *scalars], constant=constant)
    agree_on("Where", [condition, X.astype(dtype), scalars[1]], constant=constant)
