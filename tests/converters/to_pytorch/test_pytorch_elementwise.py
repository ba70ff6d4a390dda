"""Activations, arithmetic, logic and functions of one variable, against ONNX Runtime."""

from __future__ import annotations

import numpy as np
import pytest


def values(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).standard_normal(shape, np.float32)


X = values(2, 3, 4, 5) * 3
SMALL = np.clip(values(2, 3, 4, 5), -0.9, 0.9)
POSITIVE = np.abs(X) + 0.1
HALVES = np.array([[-2.5, -1.5, -0.5, -0.0, 0.0, 0.5, 1.5, 2.5, 3.2]], np.float32)
SPECIAL = np.array([[np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0]], np.float32)
INTEGERS = np.array([[-7, -6, 7, 8], [5, -5, 1, 0]], np.int64)
DIVISORS = np.array([[2, -4, 3, -3], [1, 2, -1, 7]], np.int64)
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


ACTIVATIONS = [
    ("Relu", {}, 18),
    ("LeakyRelu", {}, 18),
    ("LeakyRelu", {"alpha": 0.2}, 18),
    ("LeakyRelu", {"alpha": -0.3}, 18),
    ("Elu", {}, 18),
    ("Elu", {"alpha": 0.3}, 18),
    ("Celu", {"alpha": 0.7}, 18),
    ("Selu", {}, 18),
    ("Selu", {"alpha": 2.0, "gamma": 0.5}, 18),
    ("Sigmoid", {}, 18),
    ("Tanh", {}, 18),
    ("Softplus", {}, 18),
    ("Softsign", {}, 18),
    ("HardSigmoid", {}, 18),
    ("HardSigmoid", {"alpha": 1 / 6, "beta": 0.4}, 18),
    ("HardSwish", {}, 18),
    ("Gelu", {}, 20),
    ("Gelu", {"approximate": "tanh"}, 20),
    ("Mish", {}, 18),
    ("ThresholdedRelu", {"alpha": 0.6}, 18),
    ("Shrink", {"bias": 0.3, "lambd": 0.8}, 18),
    ("Softmax", {}, 18),
    ("Softmax", {"axis": 1}, 18),
    ("LogSoftmax", {"axis": -2}, 18),
    ("Hardmax", {"axis": 1}, 18),
    ("IsInf", {}, 20),
    ("IsInf", {"detect_negative": 0}, 20),
    ("IsInf", {"detect_positive": 0}, 20),
]


@pytest.mark.parametrize("scale", [1, 30])
@pytest.mark.parametrize(("op_type", "attributes", "opset"), ACTIVATIONS)
def test_activation(agree_on, op_type, attributes, opset, scale):
    x = np.concatenate([X * scale, np.zeros_like(X)])
    agree_on(op_type, [SPECIAL if op_type == "IsInf" else x], attributes, opset=opset)


@pytest.mark.parametrize(
    ("bounds", "code"),
    [
        ((0.0, 6.0), "nn.ReLU6()"),
        ((-1.0, 1.5), "x.clamp(min=-1.0, max=1.5)"),
        ((None, 1.5), "clamp(max=1.5)"),
        ((-0.1, None), "clamp(min=-0.1)"),
    ],
)
def test_clip(agree_on, bounds, code):
    inputs = [X, *(None if bound is None else np.float32(bound) for bound in bounds)]
    source = agree_on(
        "Clip", [inputs[0], *(None if b is None else np.asarray(b) for b in inputs[1:])], constant=(1, 2)
    )
    assert code.removeprefix("x.") in source


@pytest.mark.parametrize(
    ("slopes", "code"),
    [((3, 1, 1), "nn.PReLU(3)"), ((1,), "nn.PReLU(1)"), ((3, 4, 1), "torch.where"), ((5,), "where")],
)
def test_prelu(agree_on, slopes, code):
    assert code in agree_on("PRelu", [X, values(*slopes)], constant=(1,))


def test_prelu_with_computed_slopes(agree_on):
    agree_on("PRelu", [X, values(3, 4, 5)])


@pytest.mark.parametrize("ratio", [None, np.float32(0.3)])
def test_dropout_does_nothing(agree_on, ratio):
    inputs = [X] if ratio is None else [X, np.asarray(ratio)]
    assert f"nn.Dropout({0.5 if ratio is None else 0.3})" in agree_on("Dropout", inputs, constant=(1,))


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


def test_fmod(agree_on):
    agree_on("Mod", [X, POSITIVE], {"fmod": 1})
    agree_on("Mod", [INTEGERS, DIVISORS], {"fmod": 1})


@pytest.mark.parametrize("constant", [(), (1,), (2,), (1, 2)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_where(agree_on, constant, dtype):
    condition = X > 0
    scalars = [np.array(2, dtype), np.array(-1, dtype)]
    agree_on("Where", [condition, *scalars], constant=constant)
    agree_on("Where", [condition, X.astype(dtype), scalars[1]], constant=constant)


CASTS = [np.float32, np.float64, np.float16, np.int64, np.int32, np.uint8, np.bool_]


@pytest.mark.parametrize("to", CASTS)
@pytest.mark.parametrize("source", [np.float32, np.int64, np.bool_])
def test_cast(agree_on, source, to):
    import onnx

    x = np.array([[0, 1, 2.7, 3.2, 100.9]]).astype(source)
    agree_on("Cast", [x], {"to": onnx.helper.np_dtype_to_tensor_dtype(np.dtype(to))})
