"""The net in net.py: loading, batches, export, compilation, shared weights, outputs."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest
import torch
from arrays import values
from pytorch_nets import N, fire_net, onnx_outputs, shared_layers
from safetensors import SafetensorError
from safetensors.numpy import load_file

from converters import to_pytorch
from converters.graph import Graph


def test_load_gives_an_evaluating_net_with_the_layer_names(module, written, tmp_path):
    net = module.load()
    assert not net.training
    assert all(not part.training for part in net.modules())
    assert set(net.state_dict()) == set(load_file(written.with_suffix(".safetensors")))
    assert {"conv1.weight", "fire2_expand1x1.bias", "fc4.weight"} <= set(net.state_dict())
    elsewhere = tmp_path / "other.safetensors"
    elsewhere.write_bytes(written.with_suffix(".safetensors").read_bytes())
    assert torch.equal(module.load(elsewhere).fc4.weight, net.fc4.weight)
    assert all(p.requires_grad and p.device.type == "cpu" for p in net.parameters())


def test_missing_or_wrong_weights_are_a_clear_error(module, written, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.safetensors"):
        module.load(tmp_path / "nowhere.safetensors")
    (tmp_path / "not.safetensors").write_bytes(b"<html>" * 10)
    with pytest.raises(SafetensorError):
        module.load(tmp_path / "not.safetensors")
    from safetensors.numpy import save_file

    state = load_file(written.with_suffix(".safetensors"))
    save_file(
        {key: array for key, array in state.items() if key != "fc4.bias"}, tmp_path / "less.safetensors"
    )
    with pytest.raises(RuntimeError, match=r"Missing key.*fc4\.bias"):
        module.load(tmp_path / "less.safetensors")
    save_file(state | {"fc4.bias": np.zeros(3, np.float32)}, tmp_path / "other.safetensors")
    with pytest.raises(RuntimeError, match=r"size mismatch for fc4\.bias"):
        module.load(tmp_path / "other.safetensors")


@pytest.mark.parametrize("batch", [1, 3])
def test_any_batch_agrees_with_onnx(module, tmp_path, batch):
    x = values(batch, 3, 16, 16)
    with torch.no_grad():
        got = module.load()(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(got, onnx_outputs(fire_net(), tmp_path, x)[0], atol=1e-6)


def test_export_with_a_dynamic_batch(module):
    net, x = module.load(), torch.from_numpy(values(2, 3, 16, 16))
    program = torch.export.export(net, (x,), dynamic_shapes={"data": {0: torch.export.Dim("N", min=1)}})
    for batch in (1, 5):
        x = torch.from_numpy(values(batch, 3, 16, 16))
        torch.testing.assert_close(program.module()(x), net(x))


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_compile(module, backend):
    net, x = module.load(), torch.from_numpy(values(2, 3, 16, 16))
    torch._dynamo.reset()
    with torch.no_grad():
        torch.testing.assert_close(torch.compile(net, backend=backend, fullgraph=True)(x), net(x))


def test_several_inputs_and_outputs_in_onnx_order(tmp_path, import_net):
    graph = Graph("two")
    a, b = graph.input("a", (N, 3)), graph.input("b", (N, 3))
    with graph.layer("sum"):
        s = graph.node("Add", a, b)
    with graph.layer("difference"):
        d = graph.node("Sub", a, b)
    with graph.layer("relu"):
        r = graph.node("Relu", d)
    to_pytorch.save(graph.model({"r": r, "s": s, "a_again": a, "d": d}), tmp_path / "net.py")
    x, y = values(2, 3), values(2, 3) + 1
    got = import_net(tmp_path / "net.py").load()(torch.from_numpy(x), torch.from_numpy(y))
    assert isinstance(got, tuple)
    for one, wanted in zip(got, [np.maximum(x - y, 0), x + y, x, x - y], strict=True):
        np.testing.assert_array_equal(one.numpy(), wanted)


def test_layers_that_share_weights_are_one_module(tmp_path, import_net):
    to_pytorch.save(shared_layers(), tmp_path / "net.py")
    net = import_net(tmp_path / "net.py").load()
    assert "x = self.fc(b)  # fc_p" in (tmp_path / "net.py").read_text()
    assert set(net.state_dict()) == {"fc.weight", "fc.bias", "other.weight"}
    a, b = values(2, 3), values(3, 3)[:2]
    with torch.no_grad():
        got = net(torch.from_numpy(a), torch.from_numpy(b))
    for one, wanted in zip(got, onnx_outputs(shared_layers(), tmp_path, a, b), strict=True):
        np.testing.assert_allclose(one.numpy(), wanted, atol=1e-6)


def test_the_same_weight_turned_around_is_another_module(tmp_path, import_net):
    graph = Graph("square")
    x = graph.input("x", (N, 4))
    with graph.layer("fc"):
        weight = graph.parameter("weight", values(4, 4))
        y = graph.node("Gemm", x, weight, shape=(N, 4), transB=1)
        y = graph.node("Gemm", y, weight, shape=(N, 4))
    to_pytorch.save(graph.model({"y": y}), tmp_path / "net.py")
    given = values(3, 4)
    with torch.no_grad():
        got = import_net(tmp_path / "net.py").load()(torch.from_numpy(given)).numpy()
    np.testing.assert_allclose(got, given @ values(4, 4).T @ values(4, 4), atol=1e-5)


def test_weights_in_any_layout_are_written_right(tmp_path, import_net):
    """safetensors writes an array that is not contiguous incorrectly, and without an error."""
    graph = Graph("layouts")
    x = graph.input("x", (N, 3))
    for name, array in (
        ("turned", values(3, 4).T),
        ("stepped", values(8, 8)[::2, ::2]),
    ):
        with graph.layer(name):
            x = graph.node("Gemm", x, graph.parameter("weight", array), shape=(N, 4), transB=1)
    to_pytorch.save(graph.model({"y": x}), tmp_path / "net.py")
    state = import_net(tmp_path / "net.py").load().state_dict()
    np.testing.assert_array_equal(state["turned.weight"].numpy(), values(3, 4).T)
    np.testing.assert_array_equal(state["stepped.weight"].numpy(), values(8, 8)[::2, ::2])


def test_weights_of_double_precision(tmp_path, import_net):
    graph = Graph("double")
    x = graph.input("x", (N, 3), ir.DataType.DOUBLE)
    with graph.layer("fc"):
        y = graph.node(
            "Gemm", x, graph.parameter("weight", values(4, 3).astype(np.float64)), shape=(N, 4), transB=1
        )
    with graph.layer("scale"):
        y = graph.node("Mul", y, graph.parameter("weight", values(4).astype(np.float64)))
    to_pytorch.save(graph.model({"y": y}), tmp_path / "net.py")
    text = (tmp_path / "net.py").read_text()
    assert "nn.Linear(3, 4, bias=False, dtype=torch.float64)" in text
    assert "self.scale_weight = nn.Parameter(torch.empty(4, dtype=torch.float64))" in text
    assert (
        import_net(tmp_path / "net.py").load()(torch.zeros(2, 3, dtype=torch.float64)).dtype is torch.float64
    )


def test_a_net_without_weights_and_one_without_inputs(tmp_path, import_net):
    graph = Graph("plain")
    with graph.layer("relu"):
        y = graph.node("Relu", graph.input("x", (N, 2)))
    to_pytorch.save(graph.model({"y": y}), tmp_path / "plain.py")
    assert torch.equal(
        import_net(tmp_path / "plain.py").load()(torch.tensor([[-1.0, 2.0]])), torch.tensor([[0.0, 2.0]])
    )
    graph = Graph("constant")
    with graph.layer("dummy"):
        constant = graph.parameter("value", values(2, 3))
    to_pytorch.save(graph.model({"y": constant}), tmp_path / "constant.py")
    np.testing.assert_array_equal(import_net(tmp_path / "constant.py").load()().numpy(), values(2, 3))
