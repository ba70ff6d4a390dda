"""Shapes computed by nodes become arithmetic on sizes, which torch.export keeps dynamic."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from arrays import ints
from onnx_models import model_of, node

RESHAPES = {
    "flattening by hand": (
        [
            node("Shape", ["x"], "shape"),
            node("Gather", ["shape", "zero"], "batch", axis=0),
            node("Unsqueeze", ["batch", "axis0"], "batch1"),
            node("Concat", ["batch1", "minus1"], "target", axis=0),
            node("Reshape", ["x", "target"], "y"),
        ],
        "x.flatten(1)",
    ),
    "groups of channels": (
        [
            node("Shape", ["x"], "shape"),
            node("Slice", ["shape", "axis0", "one"], "batch"),
            node("Slice", ["shape", "one", "two"], "channels"),
            node("Slice", ["shape", "two", "four"], "trailing"),
            node("Div", ["channels", "two"], "fewer"),
            node("Concat", ["batch", "fewer", "two", "trailing"], "target", axis=0),
            node("Reshape", ["x", "target"], "y"),
        ],
        "x.reshape(x.shape[0], 3, 2, 4, 5)",
    ),
    "the number of elements": (
        [
            node("Shape", ["x"], "shape"),
            node("ReduceProd", ["shape"], "count", keepdims=0),
            node("Size", ["x"], "size"),
            node("Add", ["count", "size"], "both"),
            node("Sub", ["both", "size"], "again"),
            node("Reshape", ["again", "axis0_shape"], "target"),
            node("Reshape", ["x", "target"], "y"),
        ],
        None,
    ),
    "zeros of a shape": (
        [
            node("Shape", ["x"], "shape", start=0, end=2),
            node("Cast", ["shape"], "shape64", to=onnx.TensorProto.INT64),
            node("ConstantOfShape", ["shape64"], "zeros"),
            node("Unsqueeze", ["zeros", "two"], "zeros3"),
            node("Squeeze", ["zeros3", "two"], "y"),
        ],
        "x.new_full((x.shape[0], 6), 0.0)",
    ),
}

CONSTANTS = {
    "zero": np.int64(0),
    "axis0": ints(0),
    "axis0_shape": ints(1),
    "minus1": ints(-1),
    "two": ints(2),
    "four": ints(4),
    "one": ints(1),
}


@pytest.mark.parametrize("name", list(RESHAPES))
def test_arithmetic_on_sizes(name, agree, import_net, tmp_path):
    nodes, code = RESHAPES[name]
    model = model_of(nodes, CONSTANTS, {"x": ["N", 6, 4, 5]}, ["y"])
    x = np.random.default_rng(0).standard_normal((3, 6, 4, 5), np.float32)
    source = agree(model, {"x": x})
    assert code is None or code in source
    net = import_net(tmp_path / "net.py").load()
    given = torch.from_numpy(x)
    program = torch.export.export(net, (given,), dynamic_shapes=({0: torch.export.Dim("N", min=1)},))
    more = torch.cat([given, given])
    torch.testing.assert_close(program.module()(more), net(more))


def test_sizes_as_values_and_outputs(agree):
    nodes = [
        node("Shape", ["x"], "shape"),
        node("Cast", ["shape"], "floats", to=onnx.TensorProto.FLOAT),
        node("Mul", ["floats", "half"], "y"),
        node("Div", ["minus7", "two"], "truncated"),
    ]
    model = model_of(
        nodes,
        {"half": np.float32(0.5), "minus7": ints(-7), "two": ints(2)},
        {"x": ["N", 6]},
        ["y", "shape", "truncated"],
    )
    agree(model, {"x": np.zeros((3, 6), np.float32)})


def test_sizes_of_a_value_whose_shape_is_not_recorded(agree):
    nodes = [
        node("NonZero", ["x"], "places"),
        node("Shape", ["places"], "shape"),
        node("Size", ["places"], "size"),
    ]
    agree(
        model_of(nodes, {}, {"x": ["N", 2]}, ["shape", "size"], infer=False),
        {"x": np.eye(2, dtype=np.float32)},
    )


def test_shape_of_a_weight(agree):
    nodes = [node("Shape", ["w"], "shape"), node("Reshape", ["x", "shape"], "y")]
    model = model_of(nodes, {"w": np.zeros((2, 3), np.float32)}, {"x": [6]}, ["y"])
    assert "reshape(2, 3)" in agree(model, {"x": np.arange(6, dtype=np.float32)})
