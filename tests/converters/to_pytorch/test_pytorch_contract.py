"""What a generated net.py promises, whatever net it came from."""

from __future__ import annotations

import ast
import json
import subprocess
import sys

import numpy as np
import onnx_ir as ir
import onnxruntime as ort
import pytest
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file

from converters import to_onnx, to_pytorch
from converters.errors import UnsupportedError, UsageError
from converters.graph import Graph, Symbol
from converters.to_pytorch.conversion import convert
from converters.to_pytorch.naming import Names, class_name, identifier

N = Symbol("N")
SOURCES = [{"name": "fire.prototxt", "bytes": 1234, "sha256": "ab" * 32}]
METADATA = {
    "dsd-zoo.version": "0.1.0",
    "dsd-zoo.framework": "caffe",
    "dsd-zoo.sources": json.dumps(SOURCES),
    "dsd-zoo.preprocessing": json.dumps({"mean": [104.0, 117.0, 123.0]}),
    "dsd-zoo.notes": json.dumps(["the layer 'data' was dropped"]),
}


def values(*shape: int) -> np.ndarray:
    return np.random.default_rng(shape).standard_normal(shape, np.float32)


def conv(graph: Graph, x: ir.Value, name: str, shape: tuple, *, kernel: int, pad: int = 0) -> ir.Value:
    with graph.layer(name):
        weight = graph.parameter("weight", values(shape[1], x.shape[1], kernel, kernel) / 4)
        bias = graph.parameter("bias", values(shape[1]))
        y = graph.node("Conv", x, weight, bias, shape=shape, kernel_shape=[kernel] * 2, pads=[pad] * 4)
        graph.name_result(y, name, name)
    with graph.layer(f"relu_{name}"):
        y = graph.node("Relu", y)
        graph.name_result(y, f"relu_{name}", f"relu_{name}")
    return y


def fire_net(metadata=METADATA) -> ir.Model:
    """A fire module, a residual block, Caffe's poolings and a classifier."""
    graph = Graph("fire-net")
    x = graph.input("data", (N, 3, 16, 16))
    x = conv(graph, x, "conv1", (N, 4, 14, 14), kernel=3)
    with graph.layer("pool1"):
        x = graph.node(
            "MaxPool", x, shape=(N, 4, 7, 7), kernel_shape=[3, 3], strides=[2, 2], pads=[0, 0, 1, 1]
        )
        graph.name_result(x, "pool1", "pool1")
    small = conv(graph, x, "fire2/expand1x1", (N, 2, 7, 7), kernel=1)
    large = conv(graph, x, "fire2/expand3x3", (N, 2, 7, 7), kernel=3, pad=1)
    with graph.layer("fire2/concat"):
        x = graph.node("Concat", small, large, shape=(N, 4, 7, 7), axis=1)
        graph.name_result(x, "fire2/concat", "fire2/concat")
    branch = conv(graph, x, "res3", (N, 4, 7, 7), kernel=3, pad=1)
    with graph.layer("sum3"):
        x = graph.node("Add", branch, x)
        graph.name_result(x, "sum3", "sum3")
    with graph.layer("pool3"):
        x = graph.node("Pad", x, np.array([0, 0, 1, 1, 0, 0, 1, 1]), shape=(N, 4, 9, 9))
        x = graph.node(
            "AveragePool", x, shape=(N, 4, 4, 4), kernel_shape=[3, 3], strides=[2, 2], pads=[0, 0, 0, 0],
            count_include_pad=0,
        )  # fmt: skip
        graph.name_result(x, "pool3", "pool3")
    with graph.layer("fc4"):
        x = graph.reshape(x, (N, 64))
        x = graph.node(
            "Gemm", x, graph.parameter("weight", values(10, 64)), graph.parameter("bias", values(10)),
            shape=(N, 10), transB=1,
        )  # fmt: skip
        graph.name_result(x, "fc4", "fc4")
    with graph.layer("prob"):
        x = graph.node("Softmax", x, axis=1)
        graph.name_result(x, "prob", "prob")
    return graph.model({"prob": x}, metadata)


FIRE_NET = '''\
class FireNet(nn.Module):
    """Computes prob from data.

    Takes:
        data: float32 Nx3x16x16

    Returns:
        prob: float32 Nx10
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, kernel_size=3)
        self.relu_conv1 = nn.ReLU()
        self.pool1 = nn.MaxPool2d(kernel_size=3, stride=2, ceil_mode=True)
        self.fire2_expand1x1 = nn.Conv2d(4, 2, kernel_size=1)  # fire2/expand1x1
        self.relu_fire2_expand1x1 = nn.ReLU()  # relu_fire2/expand1x1
        # fire2/expand3x3
        self.fire2_expand3x3 = nn.Conv2d(4, 2, kernel_size=3, padding=1)
        self.relu_fire2_expand3x3 = nn.ReLU()  # relu_fire2/expand3x3
        self.res3 = nn.Conv2d(4, 4, kernel_size=3, padding=1)
        self.relu_res3 = nn.ReLU()
        self.pool3 = nn.AvgPool2d(kernel_size=3, stride=2, padding=1)
        self.fc4 = nn.Linear(64, 10)
        self.prob = nn.Softmax(dim=1)

    def forward(self, data: torch.Tensor) -> torch.Tensor:
        x = self.conv1(data)
        x = self.relu_conv1(x)
        x = self.pool1(x)
        relu_fire2_expand1x1 = self.fire2_expand1x1(x)
        relu_fire2_expand1x1 = self.relu_fire2_expand1x1(relu_fire2_expand1x1)
        relu_fire2_expand3x3 = self.fire2_expand3x3(x)
        relu_fire2_expand3x3 = self.relu_fire2_expand3x3(relu_fire2_expand3x3)
        # fire2/concat
        x = torch.cat([relu_fire2_expand1x1, relu_fire2_expand3x3], dim=1)
        y = self.res3(x)
        y = self.relu_res3(y)
        x = y + x  # sum3
        x = self.pool3(x)
        x = x.flatten(1)  # fc4
        x = self.fc4(x)
        prob = self.prob(x)
        return prob
'''


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fire")
    assert to_pytorch.save(fire_net(), folder / "net.py") == [folder / "net.py", folder / "net.safetensors"]
    return folder / "net.py"


@pytest.fixture(scope="module")
def module(written, import_net):
    return import_net(written)


def onnx_outputs(model: ir.Model, folder, *inputs: np.ndarray) -> list[np.ndarray]:
    to_onnx.save(model, folder / "reference.onnx")
    return onnx_run(folder / "reference.onnx", *inputs)


def onnx_run(path, *inputs: np.ndarray) -> list[np.ndarray]:
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {i.name: a for i, a in zip(session.get_inputs(), inputs, strict=True)})


def test_source_is_what_one_would_write(written):
    assert FIRE_NET in written.read_text()


def test_docstring_tells_where_the_net_comes_from(module):
    assert module.__doc__ == (
        "fire-net, converted from Caffe to PyTorch by dsd-zoo 0.1.0.\n\n"
        f"Sources:\n    fire.prototxt (1,234 bytes)\n        sha256 {'ab' * 32}\n\n"
        "Preprocessing, as the source describes it:\n    mean: [104.0, 117.0, 123.0]\n\n"
        "Notes:\n    the layer 'data' was dropped\n"
    )


def test_imports_are_torch_and_safetensors(written):
    tree = ast.parse(written.read_text())
    imported = {a.name for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names}
    imported |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in imported} == {"torch", "safetensors"}
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    assert [ast.unparse(base) for node in classes for base in node.bases] == ["nn.Module"]


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


def test_formatters_and_linters_change_nothing(written):
    for command in (["format", "--check", "--isolated"], ["check", "--isolated"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, written], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_long_names_are_broken_like_a_formatter_does(tmp_path):
    graph = Graph("long")
    names = [f"{letter * 30}_{k}" for k, letter in enumerate("abcd")]
    inputs = [graph.input(name, (N, 3)) for name in names]
    outputs = {}
    for k, name in enumerate(names):
        with graph.layer(f"sum_{name}"):
            outputs[f"out_{name}"] = graph.node("Add", inputs[k], inputs[k - 1])
    with graph.layer("concat"):
        outputs["concat"] = graph.node("Concat", *inputs, shape=(N, 12), axis=1)
    path, _ = to_pytorch.save(graph.model(outputs), tmp_path / "net.py")
    command = [sys.executable, "-m", "ruff", "format", "--check", "--diff", "--isolated", path]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


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


HOSTILE = [
    'quote"""; raise SystemExit',
    "line\nraise SystemExit",
    "back\\slash\\",
    "forward",
    "class",
    "__init__",
    "training",
    "1",
    "",
    "имя",
    "self.x = None #",
    "a/b",
    "a.b",
    "a_b",
    "\u202eevil",
]


def test_no_name_in_a_model_becomes_code(tmp_path, import_net):
    graph = Graph('"""\nraise SystemExit')
    x = graph.input('in"put\n', (N, 2))
    for name in HOSTILE:
        with graph.layer(name):
            weight, bias = graph.parameter("weight", values(2, 2)), graph.parameter("bias", values(2))
            x = graph.node("Gemm", x, weight, bias, transB=1)
            graph.name_result(x, name or "empty", name or "empty")
    sources = [{"name": 'x"""\nraise SystemExit', "bytes": 1, "sha256": "\\"}]
    model = graph.model(
        {'out"""\n': x}, {"dsd-zoo.sources": json.dumps(sources), "dsd-zoo.notes": '["\\"\\"\\""]'}
    )
    to_pytorch.save(model, tmp_path / "net.py")
    given = values(3, 2)
    got = import_net(tmp_path / "net.py").load()(torch.from_numpy(given)).detach().numpy()
    wanted = onnx_outputs(model, tmp_path, given)[0]
    np.testing.assert_allclose(got, wanted, atol=1e-5 * np.abs(wanted).max())
    assert "\u202e" not in (tmp_path / "net.py").read_text()


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("fire2/squeeze1x1", "fire2_squeeze1x1"),
        ("a.b-c", "a_b_c"),
        ("1", "layer_1"),
        ("__x__", "x"),
        ("", "unnamed"),
    ],
)
def test_identifier(name, wanted):
    assert identifier(name) == wanted


def test_names_are_given_once():
    names = Names(["taken"])
    assert [names.unique(n) for n in ("a/b", "a_b", "taken", "for", "max", "self", "input")] == [
        "a_b", "a_b_2", "taken_2", "for_", "max_", "self_", "input",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("AlexNet", "AlexNet"),
        ("VGG_ILSVRC_16_layers", "VGGILSVRC16Layers"),
        ("net", "Net"),
        ("", "Net"),
        ("16", "Net16"),
        ("F", "NetF"),
    ],
)
def test_class_name(name, wanted):
    assert class_name(name) == wanted


def shared_layers() -> ir.Model:
    graph = Graph("siamese")
    a, b = graph.input("a", (N, 3)), graph.input("b", (N, 3))
    with graph.layer("fc"):
        weight, bias = graph.parameter("weight", values(4, 3)), graph.parameter("bias", values(4))
        fc = graph.node("Gemm", a, weight, bias, shape=(N, 4), transB=1)
        graph.name_result(fc, "fc", "fc")
    with graph.layer("fc_p"):
        fc_p = graph.node("Gemm", b, weight, bias, shape=(N, 4), transB=1)
        graph.name_result(fc_p, "fc_p", "fc_p")
    with graph.layer("other"):
        other = graph.node("Gemm", b, weight, shape=(N, 4), transB=1)
    with graph.layer("join"):
        joined = graph.node("Add", fc_p, other)
    return graph.model({"fc": fc, "joined": joined})


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


def test_a_blob_called_like_a_helper(tmp_path, import_net):
    graph = Graph("gather_nd")
    x, where = graph.input("gather_nd", (N, 3)), graph.input("average_pool", (N, 1), ir.DataType.INT64)
    with graph.layer("gather"):
        y = graph.node("GatherND", x, where, shape=(N,), batch_dims=1)
        graph.name_result(y, "gather", "from_beginning")
    with graph.layer("relu"):
        y = graph.node("Relu", y)
    to_pytorch.save(graph.model({"max_unpool": y}), tmp_path / "net.py")
    given = torch.from_numpy(values(2, 3))
    got = import_net(tmp_path / "net.py").load()(given, torch.tensor([[2], [0]]))
    torch.testing.assert_close(got, given[[0, 1], [2, 0]].relu())


def test_weights_are_not_copied_on_the_way():
    model = fire_net()
    arrays = {name: value.const_value.numpy() for name, value in model.graph.initializers.items()}
    for weight in convert(model).state().values():
        assert np.shares_memory(weight.array, arrays[weight.name])


def test_weights_in_any_layout_are_written_right(tmp_path, import_net):
    """safetensors writes an array that is not contiguous wrongly, without an error."""
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


def test_old_opsets_are_refused(tmp_path):
    model = fire_net()
    model.graph.opset_imports[""] = 11
    with pytest.raises(UnsupportedError, match=r"opset 11.*convert_version\(model, 18\)"):
        to_pytorch.save(model, tmp_path / "net.py")


def test_bundle_shares_one_weights_file(tmp_path, import_net):
    folder = tmp_path / "bundle"
    files = to_pytorch.save_bundle(fire_net(), folder)
    assert files == [folder / "net.onnx", folder / "net.py", folder / "net.safetensors"]
    assert sorted(folder.iterdir()) == files
    moved = folder.rename(tmp_path / "moved")
    x = values(2, 3, 16, 16)
    wanted = onnx_outputs(fire_net(), tmp_path, x)[0]
    np.testing.assert_array_equal(onnx_run(moved / "net.onnx", x)[0], wanted)
    with torch.no_grad():
        got = import_net(moved / "net.py").load()(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(got, wanted, atol=1e-6)
    large = (2 * 4 * 9 + 4 * 4 * 9 + 64 * 10) * 4
    assert (moved / "net.onnx").stat().st_size < (tmp_path / "reference.onnx").stat().st_size - large


def test_bundle_keeps_other_layouts_inside_the_onnx(tmp_path):
    graph = Graph("turned")
    x = graph.input("x", (N, 30))
    with graph.layer("fc"):
        x = graph.node("Gemm", x, graph.parameter("weight", values(30, 40)), shape=(N, 40))
    model = graph.model({"y": x})
    to_pytorch.save_bundle(model, tmp_path / "bundle")
    given = values(2, 30)
    assert load_file(tmp_path / "bundle" / "net.safetensors")["fc.weight"].shape == (40, 30)
    np.testing.assert_array_equal(
        onnx_run(tmp_path / "bundle" / "net.onnx", given)[0], onnx_outputs(model, tmp_path, given)[0]
    )


def test_failure_leaves_what_was_there(tmp_path, monkeypatch):
    to_pytorch.save(fire_net(), tmp_path / "net.py")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full_disk(*args, **kwargs):
        raise SafetensorError("No space left on device")

    monkeypatch.setattr("safetensors.numpy.save_file", full_disk)
    for write in (
        lambda m: to_pytorch.save(m, tmp_path / "net.py"),
        lambda m: to_pytorch.save_bundle(m, tmp_path),
    ):
        with pytest.raises(UsageError, match="cannot be written: No space left on device"):
            write(shared_layers())
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_failure_of_the_last_move_undoes_the_first(tmp_path, monkeypatch):
    from pathlib import Path

    to_pytorch.save(fire_net(), tmp_path / "net.py")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    replace = Path.replace

    def failing(self, target):
        if self.name == "net.safetensors" and target.parent == tmp_path:
            raise OSError(5, "Input/output error")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", failing)
    with pytest.raises(UsageError, match="Input/output error"):
        to_pytorch.save(shared_layers(), tmp_path / "net.py")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_failure_leaves_no_new_folder(tmp_path, monkeypatch):
    def full_disk(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("safetensors.numpy.save_file", full_disk)
    with pytest.raises(UsageError, match="No space left on device"):
        to_pytorch.save_bundle(fire_net(), tmp_path / "new")
    assert not list(tmp_path.iterdir())


def test_directory_in_the_way_is_a_usage_error(tmp_path):
    (tmp_path / "net.safetensors").mkdir()
    with pytest.raises(UsageError, match=r"net.safetensors: a directory is in the way"):
        to_pytorch.save(fire_net(), tmp_path / "net.py")
    assert [path.name for path in tmp_path.iterdir()] == ["net.safetensors"]
