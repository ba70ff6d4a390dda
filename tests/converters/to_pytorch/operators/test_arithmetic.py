"""Arithmetic and comparison of several operands, against ONNX Runtime."""

from __future__ import annotations

import numpy as np
import pytest
from arrays import ints, values
from onnx_models import net

X = values(2, 3, 4, 5) * 3

SMALL = np.clip(values(2, 3, 4, 5), -0.9, 0.9)

POSITIVE = np.abs(X) + 0.1

INTEGERS = np.array([[-7, -6, 7, 8], [5, -5, 1, 0]], np.int64)

DIVISORS = np.array([[2, -4, 3, -3], [1, 2, -1, 7]], np.int64)

BOOLS = np.array([[True, False, True], [False, False, True]])

BINARY = [
    ("Add", X, values(2, 3, 4, 5, seed=1)),
    ("Sub", X, values(4, 1, seed=1)),
    ("Mul", X, values(3, 1, 1, seed=1)),
    ("Div", X, POSITIVE),
    ("Div", INTEGERS, DIVISORS),
    ("Div", INTEGERS.astype(np.int32), DIVISORS.astype(np.int32)),
    ("Add", INTEGERS, DIVISORS),
    ("Mod", INTEGERS, DIVISORS),
    ("Pow", POSITIVE, values(5, seed=1)),
    ("Pow", POSITIVE, np.array([2], np.int64)),
    ("Pow", INTEGERS, np.array([[2, 1, 2, 3]], np.int64)),
    ("Max", X, values(4, 5, seed=1)),
    ("Min", X, values(4, 5, seed=1)),
    ("Sum", X, values(4, 5, seed=1)),
    ("Mean", X, values(4, 5, seed=1)),
    ("Equal", INTEGERS, np.array([[7, -5, 7, 8]], np.int64)),
    ("Equal", BOOLS, BOOLS[::-1].copy()),
    ("Greater", X, SMALL),
    ("GreaterOrEqual", INTEGERS, DIVISORS),
    ("Less", X, SMALL),
    ("LessOrEqual", INTEGERS, DIVISORS),
    ("And", BOOLS, BOOLS[::-1].copy()),
    ("Or", BOOLS, BOOLS[::-1].copy()),
    ("Xor", BOOLS, BOOLS[::-1].copy()),
    ("PRelu", X, values(5, seed=1)),
]


@pytest.mark.parametrize("constant", [(), (0,), (1,)], ids=["computed", "left constant", "right constant"])
@pytest.mark.parametrize(("op_type", "a", "b"), BINARY, ids=lambda v: v if isinstance(v, str) else "")
def test_two_operands(agree_on, op_type, a, b, constant):
    agree_on(op_type, [a, b], constant=constant, batch=False)


@pytest.mark.parametrize("shape", [(), (1,), (1, 1, 1, 1)])
@pytest.mark.parametrize("op_type", ["Add", "Sub", "Mul", "Div", "Pow", "Max", "Min", "Greater", "Equal"])
def test_number_as_operand(agree_on, op_type, shape):
    source = agree_on(op_type, [POSITIVE, np.full(shape, 0.1, np.float32)], constant=(1,))
    assert "0.1" in source
    assert "register_buffer" not in source


@pytest.mark.parametrize("bound", [np.finfo(np.float32).max, np.finfo(np.float32).tiny, np.inf, 16777217.0])
def test_extreme_numbers_as_operand(agree_on, bound):
    x = np.concatenate([X, np.full_like(X, bound)])
    agree_on("Max", [x, np.array(-bound, np.float32)], constant=(1,))
    agree_on("Equal", [x, np.array(bound, np.float32)], constant=(1,))


def test_constant_of_more_axes_is_no_number(agree_on):
    agree_on("Add", [values(4, 5), np.full((1, 1, 1), 0.1, np.float32)], constant=(1,))


@pytest.mark.parametrize("op_type", ["Max", "Min", "Sum", "Mean"])
def test_any_number_of_operands(agree_on, op_type):
    agree_on(op_type, [X])
    agree_on(op_type, [X, SMALL, POSITIVE])
    agree_on(op_type, [X, np.array(0.2, np.float32), POSITIVE], constant=(1,))


@pytest.mark.parametrize("op_type", ["Max", "Min"])
def test_numbers_among_the_operands(agree, op_type):
    nodes = [(op_type, ["a", "b", "x"], "y", {})]
    model = net(nodes, {"x": [2, 3]}, ["y"], {"a": np.float32(0.5), "b": np.float32(-0.5)})
    agree(model, {"x": values(2, 3)})


def test_fmod(agree_on):
    agree_on("Mod", [X, POSITIVE], {"fmod": 1})
    agree_on("Mod", [INTEGERS, DIVISORS], {"fmod": 1})


@pytest.mark.parametrize("exponent", [-0.5, 0.5])
@pytest.mark.parametrize("shape", [(), (1,)])
def test_powers_are_no_roots(agree_on, run_written, exponent, shape):
    x = np.array([-0.0, 0.0, -np.inf, np.inf, 4.0, np.nan], np.float32)
    inputs = [x, np.full(shape, exponent, np.float32)]
    agree_on("Pow", inputs, constant=(1,))
    assert not np.signbit(run_written("Pow", inputs, {}, constant=(1,))[0]).any()


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (np.arange(4, dtype=np.int32), ints(2)),
        (np.arange(4, dtype=np.float32), np.array([2.0])),
        (np.arange(4), np.array([0.5], np.float32)),
    ],
)
@pytest.mark.parametrize("constant", [(), (1,)])
def test_powers_keep_the_type_of_the_base(agree_on, a, b, constant):
    agree_on("Pow", [a, b], constant=constant)
