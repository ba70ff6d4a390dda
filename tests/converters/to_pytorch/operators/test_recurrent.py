"""LSTM, GRU and RNN, against ONNX Runtime."""

from __future__ import annotations

import pytest
from arrays import values

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


@pytest.mark.parametrize("initial", [True, False])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("op_type", list(GATES))
def test_recurrent(agree_on, op_type, direction, bias, initial):
    directions, hidden, features = (2 if direction == "bidirectional" else 1), 4, 3
    rows = GATES[op_type] * hidden
    inputs = [
        values(6, 2, features),
        values(directions, rows, features),
        values(directions, rows, hidden),
        values(directions, 2 * rows) if bias else None,
        None,
        *([values(directions, 2, hidden)] * initial * (2 if op_type == "LSTM" else 1)),
    ]
    attributes = {"direction": direction, "hidden_size": hidden}
    if op_type == "GRU":
        agree_on(op_type, inputs, attributes, constant=(1, 2, 3), outputs=2, batch=False)
        attributes["linear_before_reset"] = 1
    source = agree_on(
        op_type, inputs, attributes, constant=(1, 2, 3), outputs=3 if op_type == "LSTM" else 2, batch=False
    )
    assert f"nn.{op_type}(3, 4" in source


def test_recurrent_with_relu(agree_on):
    inputs = [values(6, 2, 3), values(1, 4, 3), values(1, 4, 4)]
    agree_on("RNN", inputs, {"hidden_size": 4, "activations": ["Relu"]}, constant=(1, 2), outputs=2)
