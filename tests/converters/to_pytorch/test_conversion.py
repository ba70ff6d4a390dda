"""From an ONNX graph to a net: files without shapes, element types, what is trained, what is refused."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest
import torch
from arrays import ints, values
from onnx_models import FLOAT, INT64, model_of, net, node
from pytorch_nets import fire_net

from converters import to_pytorch
from converters.errors import FormatError, MismatchError, UnsupportedError
from converters.graph import Graph
from converters.sizes import Symbol
from converters.to_pytorch.conversion import convert


def test_what_a_file_does_not_record_is_inferred(agree):
    """Integer division differs from that of floats, and reductions need the number of axes."""
    nodes = [
        ("Add", ["x", "x"], "twice", {}),
        ("Div", ["twice", "three"], "third", {}),
        ("ReduceSum", ["third"], "y", {}),
    ]
    model = net(nodes, {"x": (INT64, ["N", 3])}, ["y"], {"three": ints(3)}, infer=False)
    agree(model, {"x": np.arange(6).reshape(2, 3) - 2})


@pytest.mark.parametrize("op_type", ["Identity", "Add", "Slice", "Max"])
def test_constants_keep_their_type(agree, op_type):
    """Integers of other types than int64 are not treated as sizes, even in a small array."""
    number = np.array([1, 2], np.int32)
    inputs = {"Identity": ["c"], "Add": ["c", "c"], "Slice": ["c", "end", "end"], "Max": ["c", "c", "x"]}
    nodes = [(op_type, inputs[op_type], "y", {})]
    model = net(nodes, {"x": (onnx.TensorProto.INT32, [2])}, ["y"], {"c": number, "end": ints(1)})
    agree(model, {"x": number})


@pytest.fixture
def loaded(tmp_path, import_net):
    def load(outputs: dict[str, ir.Value], graph: Graph) -> torch.nn.Module:
        path, _ = to_pytorch.save(graph.model(outputs), tmp_path / "net.py")
        return import_net(path).load()

    return load


@pytest.mark.parametrize("how", ["whole", "a piece", "for each image"])
def test_what_is_given_out_as_stored_is_not_trained(loaded, how):
    graph = Graph("stored")
    x = graph.input("data", (Symbol("N"), 4))
    with graph.layer("anchors"):
        stored = graph.parameter("table", values(6, 4))
        if how == "a piece":
            stored = graph.node("Slice", stored, ints(1), ints(3), ints(0), shape=(2, 4))
        if how == "for each image":
            batch = graph.node("Shape", x, shape=(1,), dtype=ir.DataType.INT64, start=0, end=1)
            target = graph.node("Concat", batch, ints(6, 4), shape=(3,), axis=0)
            stored = graph.node("Expand", stored, target, shape=(Symbol("N"), 6, 4))
    with graph.layer("scale"):
        y = graph.node("Mul", x, graph.parameter("weight", values(4)))
    model = loaded({"anchors": stored, "y": y}, graph)
    anchors, y = model(torch.ones(2, 4))
    assert not anchors.requires_grad
    assert y.requires_grad
    assert [name for name, _ in model.named_parameters()] == ["scale_weight"]


def test_statistics_of_any_rank_are_not_trained(loaded):
    """With gradients enabled, torch refuses a parameter as running mean or variance."""
    graph = Graph("statistics")
    x = graph.input("data", (Symbol("N"), 3, 1, 2, 1, 2))
    with graph.layer("bn"):
        weights = [graph.parameter(name, np.abs(values(3))) for name in ("weight", "bias", "mean", "var")]
        y = graph.node("BatchNormalization", x, *weights)
    model = loaded({"y": y}, graph)
    model(torch.ones(2, 3, 1, 2, 1, 2)).sum().backward()
    assert [name for name, _ in model.named_parameters()] == ["bn_weight", "bn_bias"]


def test_contradictory_weights_are_an_error(tmp_path):
    graph = Graph("net")
    x = graph.input("data", (Symbol("N"), 3, 8, 8))
    with graph.layer("conv1"):
        weight, bias = graph.parameter("weight", values(4, 3, 3, 3)), graph.parameter("bias", values(5))
        y = graph.node("Conv", x, weight, bias, shape=(Symbol("N"), 4, 6, 6), kernel_shape=[3, 3])
    with pytest.raises(MismatchError, match="layer 'conv1', ONNX operator Conv: Conv2d expects"):
        to_pytorch.save(graph.model({"y": y}), tmp_path / "net.py")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("op_type", ["Unsqueeze", "Squeeze"])
def test_a_choice_that_hangs_on_a_size_is_our_own_error(tmp_path, op_type):
    nodes = [
        ("Shape", ["x"], "shape", {"end": 1}),
        (op_type, ["x", "shape"], "y", {}),
    ]
    model = net(nodes, {"x": (FLOAT, ["N", 2])}, ["y"])
    with pytest.raises(UnsupportedError, match="sizes that are known only at run time"):
        to_pytorch.save(ir.serde.deserialize_model(model), tmp_path / "net.py")


def test_old_opsets_are_refused(tmp_path):
    model = fire_net()
    model.graph.opset_imports[""] = 11
    with pytest.raises(UnsupportedError, match=r"opset 11.*convert_version\(model, 18\)"):
        to_pytorch.save(model, tmp_path / "net.py")


HOSTILE = [
    (
        [node("Shape", ["x"], "s"), node("Gather", ["s", "far"], "g"), node("Expand", ["x", "g"], "y")],
        {"far": ints(9)},
    ),
    ([node("Conv", ["x", "w"], "y", strides=[1, 1, 1])], {"w": np.zeros((1, 2, 3, 3), np.float32)}),
    ([node("MaxPool", ["x"], "y", kernel_shape=[2, 2], strides=[0, 0])], {}),
    ([node("Gemm", ["x", "w"], "y")], {"w": np.zeros((2, 3, 4), np.float32)}),
    ([node("Concat", ["x", "x"], "y")], {}),
    ([node("Relu", ["x", "x"], "y")], {}),
    ([node("Relu", ["x"], "y", alpha=1.0)], {}),
    ([node("Reshape", ["x"], "y")], {}),
    ([node("Relu", [""], "y")], {}),
]


@pytest.mark.parametrize(("nodes", "constants"), HOSTILE)
def test_a_node_that_makes_no_sense_is_our_own_error(nodes, constants, tmp_path):
    model = ir.serde.deserialize_model(model_of(nodes, constants, {"x": ["N", 2]}, ["y"], infer=False))
    with pytest.raises((FormatError, UnsupportedError), match=r"layer '[yg]', ONNX operator"):
        to_pytorch.save(model, tmp_path / "net.py")
    assert not list(tmp_path.iterdir())


def test_weights_are_not_copied_on_the_way():
    model = fire_net()
    arrays = {name: value.const_value.numpy() for name, value in model.graph.initializers.items()}
    for weight in convert(model).state().values():
        assert np.shares_memory(weight.array, arrays[weight.name])
