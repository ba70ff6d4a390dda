"""ONNX Runtime, OpenVINO and PyTorch behind one interface, driven by tiny hand-made nets."""

from __future__ import annotations

import contextlib
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from zoo.errors import DeviceError, UsageError
from zoo.runtimes import all_runtimes, best, installed_runtimes, open_runtime
from zoo.runtimes import runtime as runtime_module

RUNTIMES = ("onnx", "openvino", "pytorch")

WEIGHTS = np.random.default_rng(0).standard_normal((7, 3)).astype(np.float32)

MODULE = """
import torch

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor({weights}))

    def forward(self, data):
        scores = torch.nn.functional.conv2d(data, self.weight[:, :, None, None]).mean((2, 3), keepdim=True)
        return {outputs}

def load(weights=None):
    return Net()
"""


@pytest.fixture
def make_net(tmp_path):
    """A net of mean colours in either form: (N, 3, h, w) -> (N, 7, 1, 1)."""

    def make(
        runtime: str, *, outputs: tuple[str, ...] = ("prob",), batch: int | str = "N", side: int = 4
    ) -> object:
        if runtime == "pytorch":
            values = {"prob": "scores", "twice": "2 * scores"}
            text = MODULE.format(
                weights=WEIGHTS.tolist(), outputs=", ".join(values[name] for name in outputs)
            )
            (tmp_path / "net.py").write_text(text)
            return tmp_path / "net.py"
        nodes = [
            helper.make_node("Conv", ["data", "weight"], ["map"]),
            helper.make_node("GlobalAveragePool", ["map"], ["prob"]),
            helper.make_node("Add", ["prob", "prob"], ["twice"]),
        ]
        graph = helper.make_graph(
            nodes,
            "net",
            [helper.make_tensor_value_info("data", TensorProto.FLOAT, [batch, 3, side, side])],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, 7, 1, 1]) for name in outputs],
            [numpy_helper.from_array(WEIGHTS[:, :, None, None], "weight")],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
        onnx.save(model, tmp_path / "net.onnx")
        return tmp_path / "net.onnx"

    return make


@pytest.fixture
def batch():
    return np.random.default_rng(1).standard_normal((5, 3, 4, 4)).astype(np.float32)


def expected(batch: np.ndarray) -> np.ndarray:
    return batch.astype(np.float64).mean((2, 3)) @ WEIGHTS.T.astype(np.float64)


@pytest.mark.parametrize("name", RUNTIMES)
def test_scores_are_one_row_per_image(make_net, batch, name):
    runtime = open_runtime(name, make_net(name), threads=1)
    scores = runtime.run(batch)
    assert scores.shape == (5, 7)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, expected(batch), atol=1e-6)
    assert all(runtime.describe()[package] for package in all_runtimes()[name].packages)
    assert runtime.batch is None
    runtime.close()


@pytest.mark.parametrize(("name", "most"), [("onnx", 16), ("openvino", 16), ("pytorch", 2)])
def test_one_thread_gives_the_same_bits_as_several(make_net, name, most):
    """As where processes share the processors. PyTorch has other algorithms for smaller images."""
    images = np.random.default_rng(2).standard_normal((2, 3, 96, 96)).astype(np.float32)
    net = make_net(name, side=96)
    scores = [open_runtime(name, net, threads=threads).run(images) for threads in (1, most)]
    np.testing.assert_array_equal(scores[0], scores[1])


@pytest.mark.parametrize("name", ["onnx", "openvino"])
def test_onnx_shapes_are_known_beforehand(make_net, name):
    assert open_runtime(name, make_net(name)).input_shape == (3, 4, 4)
    fixed = open_runtime(name, make_net(name, batch=2))
    assert fixed.batch == 2
    label = all_runtimes()[name].label
    with pytest.raises(UsageError, match=rf"{label} failed on a batch \(5, 3, 4, 4\)"):
        fixed.run(np.zeros((5, 3, 4, 4), np.float32))


@pytest.mark.parametrize("name", ["onnx", "openvino"])
def test_one_of_several_outputs_is_chosen_by_name(make_net, batch, name):
    net = make_net("onnx", outputs=("prob", "twice"))
    np.testing.assert_allclose(
        open_runtime(name, net, scores="twice").run(batch), 2 * expected(batch), atol=1e-6
    )
    with pytest.raises(UsageError, match="say which output ranks the classes; its outputs are prob, twice"):
        open_runtime(name, net)
    with pytest.raises(UsageError, match="no output 'softmax'; its outputs are prob, twice"):
        open_runtime(name, net, scores="softmax")


@pytest.mark.parametrize("name", ["onnx", "openvino"])
def test_a_net_of_two_inputs_is_refused(tmp_path, name):
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 3]) for name in ("a", "b", "sum")]
    graph = helper.make_graph([helper.make_node("Add", ["a", "b"], ["sum"])], "net", values[:2], values[2:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.save(model, tmp_path / "net.onnx")
    with pytest.raises(UsageError, match="expected a net with one input, it has a, b"):
        open_runtime(name, tmp_path / "net.onnx")


def test_several_outputs_of_a_net_py_are_refused_with_advice(make_net, batch):
    runtime = open_runtime("pytorch", make_net("pytorch", outputs=("prob", "twice")), scores="twice")
    with pytest.raises(UsageError, match=r"returns 2 outputs.* dsd-zoo convert \.\.\. --output twice"):
        runtime.run(batch)


@pytest.mark.parametrize("name", RUNTIMES)
def test_a_batch_that_does_not_fit_is_an_error(make_net, name):
    runtime = open_runtime(name, make_net(name))
    with pytest.raises(UsageError, match=r"failed on a batch \(2, 1, 4, 4\)"):
        runtime.run(np.zeros((2, 1, 4, 4), np.float32))


def test_an_output_that_is_no_row_of_scores_is_an_error(tmp_path):
    (tmp_path / "net.py").write_text("import torch\n\ndef load():\n    return torch.nn.Identity()\n")
    with pytest.raises(
        UsageError, match=r"one row of class scores per image \(2 x classes\).* 2 x 3 x 4 x 4"
    ):
        open_runtime("pytorch", tmp_path / "net.py").run(np.zeros((2, 3, 4, 4), np.float32))


@pytest.mark.parametrize("name", ["onnx", "pytorch"])
def test_a_device_that_is_not_there_is_an_error_and_never_the_cpu(make_net, name):
    import torch

    absent = f"cuda:{torch.cuda.device_count()}"
    with pytest.raises(DeviceError, match=f"{absent}: "):
        open_runtime(name, make_net(name), absent)
    with pytest.raises(UsageError, match="no device is called 'gpu'"):
        open_runtime(name, make_net(name), "gpu")


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["onnx", "pytorch"])
def test_cuda_scores_equal_those_of_the_cpu(make_net, batch, name):
    import torch

    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    net = make_net(name)
    on_gpu, on_cpu = open_runtime(name, net, "cuda"), open_runtime(name, net)
    np.testing.assert_allclose(on_gpu.run(batch), on_cpu.run(batch), rtol=1e-6, atol=1e-6)


def test_half_precision_is_less_exact_and_float32_out(make_net, batch):
    net = make_net("pytorch")
    differences = {}
    for precision in ("float32", "fp16", "bf16"):
        scores = open_runtime("pytorch", net, precision=precision).run(batch)
        assert scores.dtype == np.float32
        differences[precision] = np.abs(scores - expected(batch)).max()
    assert differences["float32"] < 1e-6 < 1e-5 < differences["fp16"] < differences["bf16"] < 0.1


def test_tf32_is_on_where_asked_for_only():
    """What the GPU is told; whether it listens, only a GPU shows."""
    import torch

    from zoo.runtimes.backends.pytorch import _arithmetic

    before = torch.get_float32_matmul_precision()
    for precision, matmul, cudnn in (("float32", "highest", False), ("tf32", "high", True)):
        with _arithmetic(torch.device("cpu"), precision):
            assert (torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32) == (matmul, cudnn)
            # Algorithms whose sums come in any order would give other bits every time.
            assert torch.backends.cudnn.deterministic
    assert torch.get_float32_matmul_precision() == before


def test_openvino_computes_in_float32_and_on_processors_only(make_net, batch):
    net = make_net("openvino")
    with pytest.raises(DeviceError, match="OpenVINO does not compute on cuda; use --runtime onnx or pytorch"):
        open_runtime("openvino", net, "cuda")
    with pytest.raises(DeviceError, match="OpenVINO computes in float32 on cpu, not in bf16"):
        open_runtime("openvino", net, precision="bf16")


def test_openvino_has_its_table_of_dtypes_before_threads_ask_for_it(make_net, monkeypatch):
    openvino, asked = pytest.importorskip("openvino"), []
    to_dtype = openvino.Type.to_dtype
    monkeypatch.setattr(openvino.Type, "to_dtype", lambda kind: asked.append(kind) or to_dtype(kind))
    with contextlib.closing(open_runtime("openvino", make_net("openvino"))):
        assert asked


def test_threads_share_one_openvino_net(make_net):
    """Each thread has an inference request of its own: no result is overwritten by another thread's."""
    runtime = open_runtime("openvino", make_net("openvino"), threads=4)
    batches = np.random.default_rng(3).standard_normal((40, 2, 3, 4, 4)).astype(np.float32)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(runtime.run, batches))
    for scores, batch in zip(found, batches, strict=True):
        np.testing.assert_allclose(scores, expected(batch), atol=1e-6)


def test_a_runtime_that_is_not_installed_says_what_to_type(make_net, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.setattr(runtime_module, "find_spec", lambda name: None if name == "openvino" else sys)
    assert "openvino" not in installed_runtimes()
    assert {"onnx", "pytorch"} <= set(installed_runtimes())
    with pytest.raises(
        UsageError, match=r'needs OpenVINO, which is not installed\n  pip install "dsd-zoo\[openvino\]"'
    ):
        open_runtime("openvino", make_net("openvino"))


def test_what_is_no_net_is_named(tmp_path):
    (tmp_path / "net.onnx").write_bytes(b"<html>")
    with pytest.raises(UsageError, match=r"net\.onnx: OpenVINO cannot load it"):
        open_runtime("openvino", tmp_path / "net.onnx")
    with pytest.raises(UsageError, match=r"net\.onnx: ONNX Runtime cannot load it"):
        open_runtime("onnx", tmp_path / "net.onnx")
    with pytest.raises(UsageError, match=r"net\.onnx: expected a net .* ImportError: not a Python file"):
        open_runtime("pytorch", tmp_path / "net.onnx")
    for text in ("import nowhere_to_be_found", "x = 1", "def load():\n    return 1", "def load(:"):
        (tmp_path / "net.py").write_text(text)
        with pytest.raises(UsageError, match=r"net\.py: expected a net that dsd-zoo convert wrote"):
            open_runtime("pytorch", tmp_path / "net.py")
    with pytest.raises(UsageError, match="no such file"):
        open_runtime("onnx", tmp_path / "absent.onnx")
    with pytest.raises(
        UsageError, match="no runtime is called 'tensorrt': expected onnx or openvino or pytorch"
    ):
        open_runtime("tensorrt", tmp_path / "net.onnx")


def test_importing_a_net_leaves_no_trace(make_net):
    before = set(sys.modules)
    open_runtime("pytorch", make_net("pytorch"))
    assert not [name for name in set(sys.modules) - before if "dsd_zoo_net" in name]


def test_the_best_classes_come_first_and_ties_go_to_the_smaller():
    scores = np.array(
        [[1, 3, 3, 2, 3, 0, 3], [0, 0, 0, 0, 0, 0, 0], [-1, -2, -0.0, 0.0, -9, -8, -7]], np.float32
    )
    ids, values = best(scores)
    assert ids.tolist() == [[1, 2, 4, 6, 3], [0, 1, 2, 3, 4], [2, 3, 0, 1, 6]]
    assert values.tolist() == [[3, 3, 3, 3, 2], [0, 0, 0, 0, 0], [0, 0, -1, -2, -7]]


def test_fewer_classes_than_ranks():
    ids, values = best(np.array([[0.25, 0.75]], np.float32))
    assert ids.tolist() == [[1, 0]]
    assert values.tolist() == [[0.75, 0.25]]


def test_the_best_classes_are_those_of_a_full_sort():
    generator = np.random.default_rng(0)
    scores = generator.integers(0, 30, (50, 1000)).astype(np.float32)
    for row, ids in zip(scores, best(scores)[0], strict=True):
        assert ids.tolist() == sorted(range(1000), key=lambda i: (-row[i], i))[:5]
