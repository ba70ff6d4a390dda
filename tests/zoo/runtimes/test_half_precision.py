"""fp16 and bf16: convolutions and matrix products are rounded; nothing overflows or ties that need not."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from gpu_stand_in import install
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from zoo.errors import DeviceError, UsageError
from zoo.runtimes import open_runtime
from zoo.runtimes.half import in_half_precision

# Activations above 256, as AlexNet's first layer has them: their squares are beyond fp16's 65,504.
WEIGHTS = np.random.default_rng(0).uniform(-1, 1, (7, 3, 1, 1)).astype(np.float32)
OFFSETS = np.full(7, 1e6, np.float32)

MODULE = """
import torch

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor({weights}))
        self.norm = torch.nn.LocalResponseNorm(5, alpha=0.01)

    def forward(self, data):
        maps = torch.relu(torch.nn.functional.conv2d(data, self.weight))
        assert maps.shape[1] == 7
        return torch.softmax(self.norm(maps).mean((2, 3)), 1)

def load(weights=None):
    return Net()
"""


@pytest.fixture
def stand_in_gpu(monkeypatch):
    return install(monkeypatch)


@pytest.fixture
def images():
    return np.random.default_rng(1).uniform(0, 600, (4, 3, 5, 5)).astype(np.float32)


@pytest.fixture
def onnx_net(tmp_path):
    nodes = [
        helper.make_node("Conv", ["data", "weight"], ["conv"]),
        helper.make_node("Relu", ["conv"], ["relu"]),
        helper.make_node("LRN", ["relu"], ["norm"], size=5, alpha=0.01, beta=0.75, bias=1.0),
        # Twice the same float32 value into half precision, and a weight that fp16 does not hold.
        helper.make_node("MaxPool", ["norm"], ["left"], kernel_shape=[1, 1]),
        helper.make_node("AveragePool", ["norm"], ["right"], kernel_shape=[1, 1]),
        helper.make_node("Concat", ["left", "right"], ["both"], axis=1),
        helper.make_node("GlobalAveragePool", ["both"], ["pool"]),
        helper.make_node("Flatten", ["pool"], ["flat"]),
        helper.make_node("Gemm", ["flat", "matrix", "offsets"], ["scores"], transB=1),
        helper.make_node("Softmax", ["scores"], ["prob"], axis=1),
    ]
    weights = {
        "weight": WEIGHTS,
        "matrix": np.random.default_rng(2).uniform(-0.3, 0.3, (7, 14)).astype(np.float32),
        "offsets": OFFSETS,
    }
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("data", TensorProto.FLOAT, ["N", 3, 5, 5])],
        [helper.make_tensor_value_info("prob", TensorProto.FLOAT, ["N", 7])],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.save(model, tmp_path / "net.onnx", save_as_external_data=True, size_threshold=0)
    return tmp_path / "net.onnx"


def test_products_are_fp16_and_all_else_float32(onnx_net):
    model = onnx.load_from_string(in_half_precision(onnx_net))
    onnx.checker.check_model(model, full_check=True)
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True)
    types = {info.name: info.type.tensor_type.elem_type for info in inferred.graph.value_info}
    types |= {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    values = {node.op_type: (node.input[0], node.output[0]) for node in model.graph.node}
    half = {"Conv", "Relu", "MaxPool", "AveragePool", "Concat", "GlobalAveragePool", "Flatten", "Gemm"}
    for name in half:
        assert [types[value] for value in values[name]] == [TensorProto.FLOAT16] * 2
    assert [types[value] for value in values["LRN"]] == [TensorProto.FLOAT] * 2
    assert types[values["Softmax"][0]] == TensorProto.FLOAT
    assert [value.type.tensor_type.elem_type for value in (*model.graph.input, *model.graph.output)] == [1, 1]
    assert [value.name for value in (*model.graph.input, *model.graph.output)] == ["data", "prob"]
    # The image, what the normalisation takes, what it gives, the scores: nothing is rounded there and back.
    assert [node.op_type for node in model.graph.node].count("Cast") == 4
    assert {tensor.data_type for tensor in model.graph.initializer} == {TensorProto.FLOAT16}
    (offsets,) = (numpy_helper.to_array(t) for t in model.graph.initializer if t.name == "offsets/fp16")
    assert offsets.tolist() == [65504] * 7


def test_fp16_differs_by_its_rounding_only(onnx_net, images):
    """numpy's own half precision computes what the graph says."""
    model = onnx.load(onnx_net)
    for tensor in model.graph.initializer:
        if tensor.name == "offsets":
            tensor.CopyFrom(numpy_helper.from_array(np.zeros(7, np.float32), "offsets"))
    onnx.save(model, onnx_net)
    (exact,) = ReferenceEvaluator(str(onnx_net)).run(None, {"data": images})
    half = onnx.load_from_string(in_half_precision(onnx_net))
    (rounded,) = ReferenceEvaluator(half).run(None, {"data": images})
    assert rounded.dtype == np.float32
    difference = np.abs(rounded - exact).max()
    assert 0 < difference < 0.005


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_pytorch_squares_activations_in_float32(tmp_path, images, precision):
    (tmp_path / "net.py").write_text(MODULE.format(weights=WEIGHTS.tolist()))
    exact = open_runtime("pytorch", tmp_path / "net.py").run(images)
    rounded = open_runtime("pytorch", tmp_path / "net.py", precision=precision).run(images)
    # In fp16 throughout, the largest activations would be divided by infinity: 0.17 off.
    assert 0 < np.abs(rounded - exact).max() < 0.005
    # Softmax of what is close to each other still tells classes apart.
    assert (torch.from_numpy(rounded).to(torch.float16).float().numpy() != rounded).any()


def test_onnx_runtime_says_where_it_has_no_half_precision(onnx_net):
    for precision in ("fp16", "bf16"):
        with pytest.raises(
            DeviceError, match=rf"computes in float32 on cpu, not in {precision}.* use --runtime pytorch"
        ):
            open_runtime("onnx", onnx_net, precision=precision)
    with pytest.raises(DeviceError, match=r"computes in float32 or tf32 or fp16 on cuda, not in bf16"):
        open_runtime("onnx", onnx_net, "cuda", precision="bf16")
    with pytest.raises(DeviceError, match="tf32 is a mode of NVIDIA GPUs"):
        open_runtime("pytorch", onnx_net, precision="tf32")


def test_what_is_no_net_stays_a_usage_error(tmp_path, stand_in_gpu):
    (tmp_path / "net.onnx").write_bytes(b"<html>")
    with pytest.raises(UsageError, match=r"net\.onnx: ONNX Runtime cannot load it"):
        open_runtime("onnx", tmp_path / "net.onnx", "cuda", precision="fp16")
