"""The text of net.py: readable, well formatted, and never code from a name in the model."""

from __future__ import annotations

import ast
import json
import subprocess
import sys

import numpy as np
import onnx_ir as ir
import torch
from arrays import values
from pytorch_nets import N, onnx_outputs

from converters import to_pytorch
from converters.graph import Graph

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


def test_source_is_what_one_would_write(written):
    assert FIRE_NET in written.read_text()


def test_docstring_tells_where_the_net_comes_from(module):
    assert module.__doc__ == (
        "fire-net, converted from Caffe to PyTorch by dsd-zoo 0.1.0.\n\n"
        f"Sources:\n    fire.prototxt (1,234 bytes)\n        sha256 {'ab' * 32}\n\n"
        "Preprocessing, as the source describes it:\n    mean: [104.0, 117.0, 123.0]\n\n"
        "Notes:\n    the layer 'data' was dropped\n"
    )


def test_imports_are_torch_and_safetensors_and_pythons_own(written):
    tree = ast.parse(written.read_text())
    imported = {a.name for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names}
    imported |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    packages = {name.partition(".")[0] for name in imported}
    assert packages - sys.stdlib_module_names == {"torch", "safetensors"}
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    assert [ast.unparse(base) for node in classes for base in node.bases] == ["nn.Module"]


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
