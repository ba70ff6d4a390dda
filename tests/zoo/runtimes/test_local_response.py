"""Nets with local response normalisation, opened without powers, against the definition in float64."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from zoo.runtimes import open_runtime
from zoo.runtimes.local_response import MOST_CHANNELS, onnx_without_powers, replace_in_module

WEIGHTS = np.random.default_rng(0).standard_normal((7, 3, 1, 1)).astype(np.float32)


def save(path: Path, *, channels: int | None = None, **attributes: object) -> Path:
    """Conv, LRN, GlobalAveragePool: (N, 3, 4, 4) -> (N, 7, 1, 1). `channels`: of the convolution."""
    weights = WEIGHTS if channels is None else np.ones((channels, 3, 1, 1), np.float32)
    nodes = [
        helper.make_node("Conv", ["data", "weight"], ["map"], name="map"),
        helper.make_node("LRN", ["map"], ["norm"], name="norm", **attributes),
        helper.make_node("GlobalAveragePool", ["norm"], ["prob"], name="prob"),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("data", TensorProto.FLOAT, ["N", 3, 4, 4])],
        [helper.make_tensor_value_info("prob", TensorProto.FLOAT, ["N", len(weights), 1, 1])],
        [numpy_helper.from_array(weights, "weight")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8), path)
    return path


def defined(
    x: np.ndarray, size: int, alpha: float = 1e-4, beta: float = 0.75, bias: float = 1.0
) -> np.ndarray:
    """ONNX's definition, channel by channel."""
    x = x.astype(np.float64)
    result = np.empty_like(x)
    for c in range(x.shape[1]):
        first, last = max(0, c - (size - 1) // 2), min(x.shape[1] - 1, c + size // 2)
        result[:, c] = x[:, c] / (bias + alpha / size * (x[:, first : last + 1] ** 2).sum(axis=1)) ** beta
    return result


def operators(content: bytes) -> list[str]:
    return [node.op_type for node in onnx.load_from_string(content).graph.node]


@pytest.mark.parametrize(
    ("size", "alpha", "bias"), list(itertools.product((1, 2, 4, 5, 9), (1e-4, 3.0), (1.0, 0.5)))
)
def test_scores_are_those_of_the_definition(tmp_path, size, alpha, bias):
    net = save(tmp_path / "net.onnx", size=size, alpha=alpha, bias=bias)
    content = onnx_without_powers(net)
    assert content is not None
    assert operators(content) == ["Conv", "Mul", "Conv", "Sqrt", "Sqrt", "Mul", "Div", "GlobalAveragePool"]
    batch = 50 * np.random.default_rng(1).standard_normal((2, 3, 4, 4)).astype(np.float32)
    maps = np.einsum("nchw,kc->nkhw", batch.astype(np.float64), WEIGHTS[:, :, 0, 0].astype(np.float64))
    wanted = defined(maps, size, alpha, 0.75, bias).mean((2, 3))
    scores = open_runtime("onnx", net).run(batch)
    np.testing.assert_allclose(scores, wanted, rtol=0, atol=2e-6 * np.abs(wanted).max())


@pytest.mark.parametrize(
    "attributes",
    [
        {"size": 5, "beta": 0.5},
        {"size": 5, "alpha": -1e-4},
        {"size": 5, "bias": 0.0},
        {"size": 5, "channels": MOST_CHANNELS + 1},
    ],
)
def test_other_settings_stay_as_they_are(tmp_path, attributes):
    assert onnx_without_powers(save(tmp_path / "net.onnx", **attributes)) is None


def test_an_open_number_of_channels_stays(tmp_path):
    nodes = [helper.make_node("LRN", ["data"], ["prob"], size=5)]
    sizes = ["N", "C", 4, 4]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, sizes) for name in ("data", "prob")]
    onnx.save(
        helper.make_model(helper.make_graph(nodes, "net", values[:1], values[1:])), tmp_path / "net.onnx"
    )
    assert onnx_without_powers(tmp_path / "net.onnx") is None


def test_a_net_without_such_a_layer_or_that_is_no_net_is_left_to_its_runtime(tmp_path):
    nodes = [helper.make_node("Relu", ["data"], ["prob"])]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 3]) for name in ("data", "prob")]
    onnx.save(
        helper.make_model(helper.make_graph(nodes, "net", values[:1], values[1:])), tmp_path / "net.onnx"
    )
    assert onnx_without_powers(tmp_path / "net.onnx") is None
    whole = save(tmp_path / "lrn.onnx", size=5).read_bytes()
    for content in (b"", b"<html>", whole[: len(whole) // 2], whole[:-3]):
        (tmp_path / "net.onnx").write_bytes(content)
        assert onnx_without_powers(tmp_path / "net.onnx") is None


def test_weights_in_another_file_are_found(tmp_path):
    net = save(tmp_path / "inline.onnx", size=5)
    model = onnx.load(net)
    onnx.save(model, tmp_path / "net.onnx", save_as_external_data=True, location="net.data", size_threshold=0)
    batch = np.random.default_rng(1).standard_normal((2, 3, 4, 4)).astype(np.float32)
    assert onnx_without_powers(tmp_path / "net.onnx") is not None
    scores = [open_runtime("onnx", tmp_path / name).run(batch) for name in ("inline.onnx", "net.onnx")]
    np.testing.assert_array_equal(*scores)


def test_large_weights_are_copied_and_not_changed(tmp_path):
    net = save(tmp_path / "net.onnx", channels=MOST_CHANNELS, size=5)
    content = onnx_without_powers(net)
    assert content is not None
    stored = {weight.name: weight for weight in onnx.load_from_string(content).graph.initializer}
    np.testing.assert_array_equal(numpy_helper.to_array(stored["weight"]), np.ones((MOST_CHANNELS, 3, 1, 1)))
    onnx.checker.check_model(onnx.load_from_string(content), full_check=True)


@pytest.mark.parametrize(
    ("size", "alpha", "k"), list(itertools.product((1, 3, 5, 9), (1e-4, 3.0), (1.0, 0.5)))
)
def test_pytorch_modules_are_replaced_by_the_definition(size, alpha, k):
    net = torch.nn.Sequential(
        torch.nn.ReLU(), torch.nn.Sequential(torch.nn.LocalResponseNorm(size, alpha, k=k))
    )
    replace_in_module(net)
    assert not any(isinstance(module, torch.nn.LocalResponseNorm) for module in net.modules())
    x = 5 * torch.randn(2, 7, 3, 3, generator=torch.Generator().manual_seed(0))
    wanted = defined(x.relu().numpy(), size, alpha, 0.75, k)
    for layout in (torch.contiguous_format, torch.channels_last):
        found = net(x.contiguous(memory_format=layout)).numpy()
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-6 * np.abs(wanted).max())


def test_other_pytorch_modules_stay(tmp_path):
    net = torch.nn.Sequential(torch.nn.LocalResponseNorm(4), torch.nn.LocalResponseNorm(5, beta=0.5))
    replace_in_module(net)
    assert [type(module) for module in net] == [torch.nn.LocalResponseNorm] * 2
