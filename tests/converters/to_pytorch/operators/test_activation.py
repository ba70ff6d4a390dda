"""Activations, against ONNX Runtime."""

from __future__ import annotations

import numpy as np
import pytest
from arrays import values
from onnx_models import net

X = values(2, 3, 4, 5) * 3

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
]


@pytest.mark.parametrize("scale", [1, 30])
@pytest.mark.parametrize(("op_type", "attributes", "opset"), ACTIVATIONS)
def test_activation(agree_on, op_type, attributes, opset, scale):
    x = np.concatenate([X * scale, np.zeros_like(X)])
    agree_on(op_type, [x], attributes, opset=opset)


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


@pytest.mark.parametrize("stored", ["low", "high"])
def test_one_bound_is_a_number_and_the_other_computed(agree, stored):
    nodes = [("ReduceMax", ["x"], "most", {"keepdims": 0}), ("Clip", ["x", "low", "high"], "y", {})]
    nodes[1][1][1 if stored == "high" else 2] = "most"
    model = net(nodes, {"x": [2, 3]}, ["y"], {stored: np.float32(0.5)})
    agree(model, {"x": values(2, 3)})


@pytest.mark.parametrize(
    ("slopes", "code"),
    [((3, 1, 1), "nn.PReLU(3)"), ((1,), "nn.PReLU(1)"), ((3, 4, 1), "torch.where"), ((5,), "where")],
)
def test_prelu(agree_on, slopes, code):
    assert code in agree_on("PRelu", [X, values(*slopes)], constant=(1,))


def test_prelu_with_computed_slopes(agree_on):
    agree_on("PRelu", [X, values(3, 4, 5)])


def test_prelu_of_integers(agree_on):
    inputs = [np.array([[-2, 3]], np.int32), np.array([4], np.int32)]
    agree_on("PRelu", inputs, constant=(1,))


@pytest.mark.parametrize("ratio", [None, np.float32(0.3)])
def test_dropout_does_nothing(agree_on, ratio):
    inputs = [X] if ratio is None else [X, np.asarray(ratio)]
    assert f"nn.Dropout({0.5 if ratio is None else 0.3})" in agree_on("Dropout", inputs, constant=(1,))
