"""Gathering and scattering by index, against ONNX Runtime."""

from __future__ import annotations

import numpy as np
import pytest
from arrays import ints, values

X = values(2, 3, 4, 5)

OPERATORS = [
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
    ("Gather", [X, ints(2, 0, 1, 1).reshape(2, 2)], {"axis": 1}),
    ("Gather", [values(4, 3), ints(0, 3).reshape(1, 2)], {}),
    ("Gather", [values(4), ints(0, 3, 1, 1).reshape(2, 1, 2)], {"axis": -1}),
    ("GatherND", [values(4), ints(2)], {}),
]

# Inputs that stay inputs of the graph; all others but the first are constants.
COMPUTED = {"GatherElements": (1,), "GatherND": (1,), "ScatterElements": (1, 2), "ScatterND": (1, 2)}


@pytest.mark.parametrize(
    ("op_type", "inputs", "attributes"),
    OPERATORS,
    ids=[f"{name}-{k}" for k, (name, _, _) in enumerate(OPERATORS)],
)
def test_operator(agree_on, op_type, inputs, attributes):
    constant = [k for k in range(1, len(inputs)) if k not in COMPUTED.get(op_type, ())]
    agree_on(op_type, inputs, attributes, constant=constant)


def test_gather_from_a_weight_is_an_embedding(agree_on):
    source = agree_on("Gather", [values(7, 3), np.array([[0, 6], [2, 2]])], constant=(0,), batch=False)
    assert "nn.Embedding(7, 3)" in source


def test_stored_index_tuples(agree_on):
    agree_on("GatherND", [values(4), ints(2)], constant=(1,))


def test_computed_indices(agree_on):
    agree_on("Gather", [X, np.array([[0, -1]])], {"axis": 1})
