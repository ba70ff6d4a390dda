"""What PyTorch cannot express is an error that names the layer and the operator."""

from __future__ import annotations

import numpy as np
import pytest
from arrays import ints, values

from converters.errors import UnsupportedError

X = values(2, 6, 5, 4)

ROIS = np.array(
    [[0, 0, 6, 6], [1.4, 2.5, 8.1, 9.6], [-2, -3, 4, 5], [5, 5, 4.9, 4.9], [7, 7, 20, 20]], np.float32
)

UNSUPPORTED = [
    ("AveragePool", [X], {"kernel_shape": [1, 2, 3, 1][:2], "dilations": [2, 2]}, (), "dilated"),
    ("MaxPool", [X], {"kernel_shape": [2, 2], "storage_order": 1}, (), "storage_order"),
    (
        "Resize",
        [X, None, np.array([1, 1, 2, 2], np.float32)],
        {"antialias": 1, "mode": "linear"},
        (2,),
        "antialias",
    ),
    ("RoiAlign", [X, ROIS, np.zeros(5, np.int64)], {"mode": "max"}, (), "max"),
    ("NoSuchOperator", [values(2, 3, 3)], {}, (), "no PyTorch form of this operator"),
    ("Tile", [X, np.array([1, 2, 1, 1])], {}, (), "'repeats' must be a constant"),
    ("BatchNormalization", [X, *[values(6)] * 4], {"training_mode": 1}, (1, 2, 3, 4), "training_mode"),
    ("ReduceMean", [np.arange(3)], {}, (1, 2), "floating-point numbers only"),
    (
        "MaxPool",
        [np.zeros((1, 1, 4), np.uint8)],
        {"kernel_shape": [2]},
        (1, 2),
        "floating-point numbers only",
    ),
    ("Shrink", [np.arange(3)], {}, (1, 2), "floating-point numbers only"),
    ("Pad", [values(1, 2, 3, 4, 5), ints(0, 1, *[0] * 8)], {"mode": "reflect"}, (1, 2), "last three axes"),
    ("InstanceNormalization", [values(2, 3, 1), values(3), values(3)], {}, (1, 2), "a single element"),
]


@pytest.mark.parametrize(
    ("op_type", "inputs", "attributes", "constant", "words"),
    UNSUPPORTED,
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_what_pytorch_cannot_express_is_an_error(run_written, op_type, inputs, attributes, constant, words):
    opset = 19 if "dilations" in attributes else 18
    outputs = 2 if op_type == "MaxPool" else 1
    with pytest.raises(UnsupportedError, match=f"layer 'layer', ONNX operator {op_type}: .*{words}"):
        run_written(op_type, inputs, attributes, constant=constant, opset=opset, outputs=outputs)
