"""What counts as a weight: the mark of the reader, or in a file the name."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from corpus_cases import CORPUS, Case
from onnx import helper, numpy_helper

import converters
from converters.graph import Graph
from converters.weights import is_weight, is_weight_name


def values(*shape: int) -> np.ndarray:
    return np.random.default_rng(shape).standard_normal(shape, np.float32)


def model_with_every_kind() -> ir.Model:
    """Weights and constants of a layer whose name looks like that of a weight."""
    graph = Graph("net")
    x = graph.input("x", (2, 100))
    with graph.layer("fc.1"):
        x = graph.node("Add", x, graph.parameter("bias", values(100)))
        x = graph.node("Mul", x, values(1, 100))  # a constant too large to be shared
        x = graph.node("Add", x, np.array([1.0], np.float32))
        x = graph.node("Mul", x, graph.constant_per_channel(100, 2))
        y = graph.reshape(x, (100, 2))
    return graph.model({"y": y})


def test_a_reader_marks_weights_and_constants():
    model = model_with_every_kind()
    marks = {name: is_weight(value) for name, value in model.graph.initializers.items()}
    assert marks == {
        "fc.1.bias": True,
        "fc.1/constant": False,
        "constant_0": False,
        "constant_1": False,
        "constant_2": False,
    }
    assert list(converters.weights_of(model)) == ["fc.1.bias"]


def test_the_mark_counts_and_not_the_name():
    graph = Graph("net")
    x = graph.input("x", (2, 3))
    y = graph.node("Add", x, graph.parameter("constant_7", values(3)))  # outside of a layer
    model = graph.model({"y": y})
    assert list(converters.weights_of(model)) == ["constant_7"]


def test_weights_are_floats_in_the_order_of_the_model_and_not_copied():
    graph = Graph("net")
    x = graph.input("x", (2, 3))
    array, indices = values(3), np.array([0, 2, 1])
    with graph.layer("b"):
        x = graph.node("Add", x, graph.parameter("bias", array))
    with graph.layer("a"):
        x = graph.node("Gather", x, graph.parameter("order", indices), axis=1)
        x = graph.node("Mul", x, graph.parameter("weight", values(3)))
    found = converters.weights_of(graph.model({"y": x}))
    assert list(found) == ["b.bias", "a.weight"]
    assert np.shares_memory(found["b.bias"], array)


@pytest.mark.parametrize("name", ["arch-alexnet", "arch-rpn", "dag-17"])
def test_a_written_file_has_the_same_weights(tmp_path, name):
    case = Case.load(CORPUS / "caffe" / name)
    model = converters.load(*case.sources, **case.options)
    converters.save(model, tmp_path / "net.onnx")
    read = converters.load(tmp_path / "net.onnx")
    assert list(converters.weights_of(read)) == list(converters.weights_of(model))
    for key, value in model.graph.initializers.items():
        assert is_weight(read.graph.initializers[key]) is is_weight(value)


def test_folded_weights_are_weights():
    case = Case.load(CORPUS / "caffe" / "fold-conv-bn")
    model = converters.load(*case.sources, fold=True)
    folded = [value for name, value in model.graph.initializers.items() if "folded_" in name]
    assert folded
    assert all(is_weight(value) for value in folded)


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("conv1.weight", True),
        ("fire2/squeeze1x1.bias", True),
        ("conv1.weight_2", True),
        ("constant_12", False),
        ("pool1/constant", False),
        ("fc.1/constant_2", False),
        ("onnx::Conv_123", None),
        ("W", None),
    ],
)
def test_names(name, answer):
    assert is_weight_name(name) is answer


def test_in_a_file_of_another_tool_every_float_counts(tmp_path):
    arrays = {"onnx::MatMul_7": values(3, 4), "shift.value": values(4), "shape": np.array([4, 2])}
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "onnx::MatMul_7"], ["product"]),
            helper.make_node("Add", ["product", "shift.value"], ["sum"]),
            helper.make_node("Reshape", ["sum", "shape"], ["y"]),
        ],
        "net",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [2, 3])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [4, 2])],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8),
        tmp_path / "net.onnx",
    )
    model = converters.load(tmp_path / "net.onnx")
    assert list(converters.weights_of(model)) == ["onnx::MatMul_7", "shift.value"]
    # Only what is certainly a weight becomes trainable.
    converters.save(model, tmp_path / "net.py")
    text = (tmp_path / "net.py").read_text()
    assert "self.shift_value = nn.Parameter(" in text
    assert 'self.register_buffer("onnx_MatMul_7"' in text


def test_a_large_constant_is_not_trained(tmp_path):
    converters.save(model_with_every_kind(), tmp_path / "net.py")
    text = (tmp_path / "net.py").read_text()
    assert "self.fc_1_bias = nn.Parameter(" in text
    assert 'self.register_buffer("fc_1_constant"' in text
