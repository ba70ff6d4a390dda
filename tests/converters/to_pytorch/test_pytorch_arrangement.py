"""Shapes, orders, indices and reductions, against ONNX Runtime."""

from __future__ import annotations

import numpy as np
import pytest


def values(*shape: int) -> np.ndarray:
    return np.random.default_rng(shape).standard_normal(shape, np.float32)


def ints(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int64)


X = values(2, 3, 4, 5)
FAR = 2**63 - 1

RESHAPES = [
    (X, ints(-1, 60), "x.flatten(1)"),
    (X, ints(0, -1), "flatten(1)"),
    (X, ints(0, 60), "flatten(1)"),
    (X, ints(0, 0, -1), "reshape(-1, 3, 20)"),
    (X, ints(0, 12, 5), "reshape(-1, 12, 5)"),
    (X, ints(-1, 12), "reshape(-1, 12)"),
    (X, ints(-1), "reshape(-1)"),
    (X, ints(0, 0, 4, 5), None),
    (X, ints(3, -1), None),
    (values(1, 1), ints(), None),
    (values(3), ints(-1, 1), "reshape(-1, 1)"),
]


@pytest.mark.parametrize(("x", "shape", "code"), RESHAPES)
def test_reshape(agree_on, x, shape, code):
    source = agree_on("Reshape", [x, shape], constant=(1,))
    if code is not None:
        assert code.removeprefix("x.") in source.replace("x.shape[0]", "-1")


def test_reshape_to_a_computed_shape(agree_on):
    agree_on("Reshape", [X, ints(6, -1)])


def test_reshape_with_no_elements(agree_on):
    agree_on(
        "Reshape", [np.zeros((0, 4), np.float32), ints(4, 0)], {"allowzero": 1}, constant=(1,), batch=False
    )


def test_flatten_of_a_vector(agree_on):
    agree_on("Flatten", [values(3)], {"axis": 1})


def test_slice_with_computed_ends(agree_on):
    source = agree_on("Slice", [X, ints(1, 0), ints(3, 2), ints(2, 1)], constant=(3,))
    assert "in0[:, in1[1] : in2[1], in1[0] : in2[0]]" in source
    agree_on("Slice", [X, ints(1), ints(3), ints(2)], constant=(1, 3))


@pytest.mark.parametrize("axis", [0, 1, 2, 4, -1])
def test_flatten(agree_on, axis):
    agree_on("Flatten", [X], {"axis": axis})


OPERATORS = [
    ("Transpose", [X], {}),
    ("Transpose", [X], {"perm": [0, 2, 3, 1]}),
    ("Squeeze", [values(2, 1, 3, 1), ints(1)], {}),
    ("Squeeze", [values(2, 1, 3, 1), ints(1, -1)], {}),
    ("Unsqueeze", [values(2, 3), ints(1)], {}),
    ("Unsqueeze", [values(2, 3), ints(0, -1)], {}),
    ("Unsqueeze", [values(2, 3), ints(-1, -3)], {}),
    ("Expand", [values(2, 1, 4), ints(2, 3, 1)], {}),
    ("Expand", [values(2, 1, 4), ints(5, 1, 3, 4)], {}),
    ("Expand", [values(2, 3), ints(1)], {}),
    ("Tile", [values(2, 3), ints(1, 2)], {}),
    ("Concat", [values(2, 3), values(2, 4)], {"axis": 1}),
    ("Concat", [values(2, 3), values(2, 4), values(2, 1)], {"axis": -1}),
    ("Concat", [X], {"axis": 0}),
    ("Slice", [X, ints(1), ints(3)], {}),
    ("Slice", [X, ints(0, 1), ints(FAR, -1), ints(0, 3)], {}),
    ("Slice", [X, ints(-3, 1), ints(-1, FAR), ints(-1, 1)], {}),
    ("Slice", [X, ints(0, 1), ints(FAR, 5), ints(2, 3), ints(2, 3)], {}),
    ("Slice", [X, ints(-1), ints(-FAR), ints(3), ints(-1)], {}),
    ("Slice", [X, ints(3), ints(0), ints(3), ints(-2)], {}),
    ("Slice", [X, ints(100), ints(1), ints(2), ints(-1)], {}),
    ("Slice", [X, ints(0), ints(FAR), ints(2)], {}),
    ("Slice", [X, ints(2), ints(2), ints(2)], {}),
    ("DepthToSpace", [values(2, 12, 3, 4)], {"blocksize": 2}),
    ("DepthToSpace", [values(2, 12, 3, 4)], {"blocksize": 2, "mode": "CRD"}),
    ("SpaceToDepth", [values(2, 3, 4, 6)], {"blocksize": 2}),
    ("Pad", [X, ints(0, 0, 1, 2, 0, 0, 3, 4)], {}),
    ("Pad", [X, ints(0, 0, 1, 2, 0, 0, 3, 4), np.array(-1.5, np.float32)], {}),
    ("Pad", [X, ints(1, 0, 0, 0, 0, 2, 0, 0)], {}),
    ("Pad", [X, ints(0, 0, -1, 0, 0, 0, 0, -2)], {}),
    ("Pad", [X, ints(1, 2, 3, 4), None, ints(-1, 2)], {}),
    ("Pad", [X, ints(0, 0, 0, 0, 0, 0, 0, 0)], {}),
    ("Pad", [X, ints(0, 0, 1, 2, 0, 0, 3, 4)], {"mode": "reflect"}),
    ("Pad", [X, ints(0, 0, 1, 2, 0, 0, 3, 4)], {"mode": "edge"}),
    ("Pad", [X, ints(0, 0, 0, 2, 0, 0, 0, 4)], {"mode": "edge"}),
    ("Pad", [X, ints(0, 2, 0, 2, 0, 1, 0, 4)], {"mode": "edge"}),
    ("Pad", [values(2, 3, 7), ints(0, 0, 2, 0, 0, 1)], {"mode": "reflect"}),
    ("Gather", [X, ints(2, 0, 1)], {"axis": 1}),
    ("Gather", [X, np.array(-1)], {"axis": 2}),
    ("Gather", [X, np.array([[0, 1], [2, -1]])], {"axis": -1}),
    ("GatherElements", [values(3, 4), np.array([[0, -1], [1, 2], [2, 2]])], {"axis": 1}),
    ("GatherND", [X, np.array([[0, 1], [1, -1]])], {}),
    ("GatherND", [values(2, 3, 4), np.array([[1], [2]])], {"batch_dims": 1}),
    ("GatherND", [X, np.array([[[0, 1, 2, 3]], [[1, 0, 0, 0]]])], {}),
    ("ScatterElements", [values(3, 4), np.array([[0, -1], [1, 2]]), values(2, 2)], {"axis": 1}),
    ("ScatterElements", [values(3, 4), np.array([[0, 0]]), values(1, 2)], {"axis": 1, "reduction": "add"}),
    ("ScatterElements", [values(3, 4), np.array([[0, 1]]), values(1, 2)], {"axis": 1, "reduction": "max"}),
    ("ScatterND", [values(4, 3), np.array([[1], [-1]]), values(2, 3)], {}),
    ("ScatterND", [values(4, 3), np.array([[1, 1], [1, 1]]), values(2)], {"reduction": "add"}),
    ("OneHot", [ints(1, -1, 3, 7), np.array(5), values(2)], {}),
    ("OneHot", [np.array([[1, 0], [2, 2]]), np.array([3]), values(2)], {"axis": 1}),
    ("Compress", [values(3, 4), np.array([True, False, True])], {"axis": 1}),
    ("Compress", [values(2, 2), np.array([False, True, True])], {}),
    ("NonZero", [np.array([[1, 0, 2], [0, 0, 3]], np.float32)], {}),
    ("Trilu", [values(2, 4, 4)], {}),
    ("Trilu", [values(2, 4, 5), np.array(-1)], {"upper": 0}),
    ("CumSum", [values(2, 4), np.array(1)], {}),
    ("CumSum", [values(2, 4), np.array(1)], {"exclusive": 1}),
    ("CumSum", [values(2, 4), np.array(-1)], {"exclusive": 1, "reverse": 1}),
    ("Einsum", [values(2, 3, 4), values(2, 4, 5)], {"equation": "bij,bjk->bik"}),
    ("MatMul", [values(2, 3, 4), values(4, 5)], {}),
    ("EyeLike", [values(3, 4)], {"k": 1}),
    ("ArgMax", [np.array([[1, 3, 3], [2, 2, 1]], np.float32)], {"axis": 1}),
    ("ArgMax", [np.array([[1, 3, 3], [2, 2, 1]], np.float32)], {"axis": 1, "select_last_index": 1}),
    ("ArgMax", [X], {"axis": -1, "keepdims": 0}),
    (
        "ArgMin",
        [np.array([[1, 1, 3], [2, 2, 1]], np.float32)],
        {"axis": 1, "select_last_index": 1, "keepdims": 0},
    ),
    ("ReverseSequence", [values(4, 3, 2), ints(4, 1, 3)], {}),
    ("ReverseSequence", [values(3, 4, 2), ints(4, 1, 3)], {"batch_axis": 0, "time_axis": 1}),
    ("Shape", [X], {}),
    ("Shape", [X], {"start": 1, "end": -1}),
    ("Size", [X], {}),
]
# Inputs that stay inputs of the graph; all others but the first are constants.
COMPUTED = {
    "Concat": (1, 2),
    "GatherElements": (1,),
    "GatherND": (1,),
    "ScatterElements": (1, 2),
    "ScatterND": (1, 2),
    "Einsum": (1,),
    "OneHot": (),
}


@pytest.mark.parametrize(
    ("op_type", "inputs", "attributes"),
    OPERATORS,
    ids=[f"{name}-{k}" for k, (name, _, _) in enumerate(OPERATORS)],
)
def test_operator(agree_on, op_type, inputs, attributes):
    constant = tuple(k for k in range(1, len(inputs)) if k not in COMPUTED.get(op_type, ()))
    agree_on(op_type, inputs, attributes, constant=constant)


def test_expand_to_a_computed_shape(agree_on):
    agree_on("Expand", [values(2, 1, 4), ints(3, 1)])


def test_gather_from_a_weight_is_an_embedding(agree_on):
    source = agree_on("Gather", [values(7, 3), np.array([[0, 6], [2, 2]])], constant=(0,), batch=False)
    assert "nn.Embedding(7, 3)" in source


def test_computed_indices(agree_on):
    agree_on("Gather", [X, np.array([[0, -1]])], {"axis": 1})


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


SPLITS = [
    ({"axis": 1}, ints(1, 3, 2), 3),
    ({"axis": -1}, None, 2),
    ({"axis": 1}, None, 4),
]


@pytest.mark.parametrize(("attributes", "sizes", "count"), SPLITS)
def test_split(agree_on, attributes, sizes, count):
    x = values(2, 6 if sizes is not None else 7, 4)
    inputs = [x] if sizes is None else [x, sizes]
    if sizes is None:
        attributes = {**attributes, "num_outputs": count}
    agree_on("Split", inputs, attributes, constant=(1,), outputs=count)


def test_ranges_and_fills(agree_on):
    agree_on("Range", [np.array(2), np.array(11), np.array(3)], constant=(0, 1, 2))
    agree_on(
        "Range",
        [np.array(2, np.float32), np.array(-1, np.float32), np.array(-0.5, np.float32)],
        constant=(0, 1, 2),
    )
    agree_on("ConstantOfShape", [ints(2, 3)], constant=(0,))
