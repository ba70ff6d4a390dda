"""Shapes, orders of axes, slices and pads, against ONNX Runtime."""

from __future__ import annotations

import numpy as np
import pytest
from arrays import ints, values
from onnx_models import FLOAT, net

X = values(2, 3, 4, 5)

SCALAR = np.array(-1.5, np.float32)

NONE = ints()

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


def test_a_computed_reshape_copies_the_sizes_marked_0(agree_on):
    agree_on("Reshape", [X, ints(0, -1, 0)])


def test_reshape_with_no_elements(agree_on):
    agree_on(
        "Reshape", [np.zeros((0, 4), np.float32), ints(4, 0)], {"allowzero": 1}, constant=(1,), batch=False
    )


@pytest.mark.parametrize("axis", [0, 1, 2, 4, -1])
def test_flatten(agree_on, axis):
    agree_on("Flatten", [X], {"axis": axis})


def test_flatten_of_a_vector(agree_on):
    agree_on("Flatten", [values(3)], {"axis": 1})


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
    ("ReverseSequence", [values(4, 3, 2), ints(4, 1, 3)], {}),
    ("ReverseSequence", [values(3, 4, 2), ints(4, 1, 3)], {"batch_axis": 0, "time_axis": 1}),
    ("Shape", [X], {}),
    ("Shape", [X], {"start": 1, "end": -1}),
    ("Size", [X], {}),
    ("Transpose", [SCALAR], {}),
    ("Expand", [SCALAR, NONE], {}),
    ("Tile", [SCALAR, NONE], {}),
    ("Split", [X, ints(3)], {"axis": 1}),
    ("Shape", [SCALAR], {}),
    ("SpaceToDepth", [values(0, 1, 4, 4)], {"blocksize": 2}),
    ("DepthToSpace", [values(0, 4, 2, 2)], {"blocksize": 2}),
    # Starts before the first element, and ends that mean the end of the axis.
    ("Slice", [X, ints(-9), ints(-99), ints(3), ints(-1)], {}),
    ("Slice", [X, ints(1), ints(-(2**31)), ints(3)], {}),
    ("Slice", [X, ints(2**31), ints(2**63 - 1), ints(3)], {}),
    ("Pad", [values(2, 3, 4), ints(0, 1, 2, 0, 1, 1)], {"mode": "reflect"}),
]

# Inputs that stay inputs of the graph; all others but the first are constants.
COMPUTED = {"Concat": (1, 2)}


@pytest.mark.parametrize(
    ("op_type", "inputs", "attributes"),
    OPERATORS,
    ids=[f"{name}-{k}" for k, (name, _, _) in enumerate(OPERATORS)],
)
def test_operator(agree_on, op_type, inputs, attributes):
    constant = [k for k in range(1, len(inputs)) if k not in COMPUTED.get(op_type, ())]
    agree_on(op_type, inputs, attributes, constant=constant)


def test_slice_with_computed_ends(agree_on):
    source = agree_on("Slice", [X, ints(1, 0), ints(3, 2), ints(2, 1)], constant=(3,))
    assert "in0[:, in1[1] : in2[1], in1[0] : in2[0]]" in source
    agree_on("Slice", [X, ints(1), ints(3), ints(2)], constant=(1, 3))


def test_expand_to_a_computed_shape(agree_on):
    agree_on("Expand", [values(2, 1, 4), ints(3, 1)])


def test_an_expansion_to_a_size_that_is_1(agree):
    nodes = [
        ("Shape", ["x"], "shape", {"end": 1}),
        ("Concat", ["shape", "one"], "target", {"axis": 0}),
        ("Expand", ["w", "target"], "y", {}),
    ]
    model = net(nodes, {"x": (FLOAT, ["N", 2])}, ["y"], {"w": values(3, 2), "one": ints(1)})
    agree(model, {"x": values(1, 2)})


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
