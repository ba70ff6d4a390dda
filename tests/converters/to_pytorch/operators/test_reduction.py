"""Reductions, sorting and running sums, against ONNX Runtime."""

from __future__ import annotations

import numpy as np
import pytest
from arrays import ints, values

X = values(2, 3, 4, 5)

NONE = ints()

OPERATORS = [
    ("CumSum", [values(2, 4), np.array(1)], {}),
    ("CumSum", [values(2, 4), np.array(1)], {"exclusive": 1}),
    ("CumSum", [values(2, 4), np.array(-1)], {"exclusive": 1, "reverse": 1}),
    ("ArgMax", [np.array([[1, 3, 3], [2, 2, 1]], np.float32)], {"axis": 1}),
    ("ArgMax", [np.array([[1, 3, 3], [2, 2, 1]], np.float32)], {"axis": 1, "select_last_index": 1}),
    ("ArgMax", [X], {"axis": -1, "keepdims": 0}),
    (
        "ArgMin",
        [np.array([[1, 1, 3], [2, 2, 1]], np.float32)],
        {"axis": 1, "select_last_index": 1, "keepdims": 0},
    ),
    # Without axes, a reduction still applies its square, root or logarithm.
    *[
        (f"Reduce{name}", [x, *axes], {"noop_with_empty_axes": noop})
        for name in ("L1", "L2", "SumSquare", "LogSum", "LogSumExp", "Sum")
        for x, axes, noop in ((np.array(1.5, np.float32), [], 0), (np.abs(X), [NONE], 1), (np.abs(X), [], 1))
    ],
    # Torch sums small integers in int64.
    ("CumSum", [np.arange(6, dtype=np.int32).reshape(2, 3), np.array(1)], {}),
    ("CumSum", [np.arange(6, dtype=np.int32).reshape(2, 3), np.array(1)], {"exclusive": 1}),
]


@pytest.mark.parametrize(
    ("op_type", "inputs", "attributes"),
    OPERATORS,
    ids=[f"{name}-{k}" for k, (name, _, _) in enumerate(OPERATORS)],
)
def test_operator(agree_on, op_type, inputs, attributes):
    agree_on(op_type, inputs, attributes, constant=range(1, len(inputs)))


@pytest.mark.parametrize("axes", [None, ints(1), ints(2, 3), ints(-1, 1), ints()])
@pytest.mark.parametrize("keepdims", [0, 1])
@pytest.mark.parametrize(
    "op_type", ["Sum", "Mean", "Max", "Min", "Prod", "L1", "L2", "SumSquare", "LogSum", "LogSumExp"]
)
def test_reductions(agree_on, op_type, keepdims, axes):
    inputs = [np.abs(X)] if axes is None else [np.abs(X), axes]
    agree_on(f"Reduce{op_type}", inputs, {"keepdims": keepdims}, constant=(1,))


def test_reduction_axes_as_attribute(agree_on):
    agree_on("ReduceMean", [X], {"axes": [1, 3], "keepdims": 0}, opset=13)


@pytest.mark.parametrize("op_type", ["ReduceSum", "ReduceProd", "ReduceMax"])
def test_reductions_of_small_integers(agree_on, op_type):
    x = np.array([[1, -2, 3], [4, 5, 6]], np.int32)
    agree_on(op_type, [x, ints(1)], constant=(1,))


def test_reduction_over_no_axes(agree_on):
    agree_on("ReduceSum", [X, ints()], {"noop_with_empty_axes": 1}, constant=(1,))


@pytest.mark.parametrize("largest", [0, 1])
def test_top_k_takes_the_first_of_equal_ones(agree_on, largest):
    x = np.array([[1, 3, 3, 2, 3, 1, 1], [2, 2, 1, 2, 1, 1, 0]], np.float32)
    agree_on("TopK", [x, ints(4)], {"largest": largest}, constant=(1,), outputs=2)
    agree_on("TopK", [x, ints(1)], {"largest": largest, "axis": 0}, constant=(1,), outputs=2)
