"""Constants, ranges and casts, against ONNX Runtime."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from arrays import ints, values


def test_eye_like(agree_on):
    agree_on("EyeLike", [values(3, 4)], {"k": 1})


def test_ranges_and_fills(agree_on):
    agree_on("Range", [np.array(2), np.array(11), np.array(3)], constant=(0, 1, 2))
    agree_on(
        "Range",
        [np.array(2, np.float32), np.array(-1, np.float32), np.array(-0.5, np.float32)],
        constant=(0, 1, 2),
    )
    agree_on("ConstantOfShape", [ints(2, 3)], constant=(0,))


@pytest.mark.parametrize(("start", "limit", "step"), [(3, 0, 1), (0, 3, -1), (2, 2, 1)])
def test_a_range_that_leads_away_is_empty(agree_on, start, limit, step):
    agree_on("Range", [np.array(n, np.float32) for n in (start, limit, step)], constant=(0, 1, 2))


CASTS = [np.float32, np.float64, np.float16, np.int64, np.int32, np.uint8, np.bool_]


@pytest.mark.parametrize("to", CASTS)
@pytest.mark.parametrize("source", [np.float32, np.int64, np.bool_])
def test_cast(agree_on, source, to):
    x = np.array([[0, 1, 2.7, 3.2, 100.9]]).astype(source)
    agree_on("Cast", [x], {"to": onnx.helper.np_dtype_to_tensor_dtype(np.dtype(to))})
