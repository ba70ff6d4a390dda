"""A runtime is one file in zoo/runtimes/backends, or one registered class."""

from __future__ import annotations

import numpy as np
import pytest
from registry_entries import entries_restored, only_these_entries

from zoo.errors import DeviceError, UsageError
from zoo.runtimes import Ranking, Runtime, all_runtimes, form_of, open_runtime, register_runtime, registry
from zoo.runtimes.ranking import rank_scores
from zoo.vocabulary import RUNTIME_NAMES


class Constant(Runtime):
    """Gives every image the same scores."""

    label = "a constant"
    form = "onnx"
    packages = ("constant",)
    precisions = {"cpu": ("float32", "fp16"), "cuda": ("float32", "bf16")}  # noqa: RUF012

    def __init__(self, net, device="cpu", scores=None, threads=None, precision="float32"):
        self.input_shape, self.batch, self.at_once = (3, 4, 4), None, 1
        self.arguments = (net, device, scores, threads, precision)

    def run(self, batch):
        return np.tile(np.arange(3, dtype=np.float32), (len(batch), 1))

    def rank(self, batch, labels) -> Ranking:
        return rank_scores(self.run(batch)[: len(labels)], labels)

    def describe(self):
        return {"constant": "1.0"}

    def close(self):
        pass


@pytest.fixture
def shipped():
    """Only these two runtimes, whatever else lies in zoo/runtimes/backends."""
    all_runtimes()
    with only_these_entries(registry._RUNTIMES, "onnx", "pytorch"):
        yield


@pytest.fixture
def toy(shipped):
    """A runtime with the name of this module."""
    with entries_restored(registry._RUNTIMES):
        register_runtime(Constant)
        yield __name__.rpartition(".")[2]


def test_the_command_line_knows_the_names_of_the_registered_runtimes():
    assert tuple(all_runtimes()) == RUNTIME_NAMES
    assert {"onnx", "pytorch"} <= set(RUNTIME_NAMES)


def test_a_runtime_says_all_that_the_zoo_asks_of_it(shipped):
    assert [(name, cls.label, cls.form, cls.packages) for name, cls in all_runtimes().items()] == [
        ("onnx", "ONNX Runtime", "onnx", ("onnxruntime",)),
        ("pytorch", "PyTorch", "pytorch", ("torch",)),
    ]


def test_a_registered_runtime_is_opened_by_its_name(toy, tmp_path):
    net = tmp_path / "net.onnx"
    net.touch()
    runtime = open_runtime(toy, net, scores="prob", threads=3, precision="fp16")
    assert runtime.arguments == (net, "cpu", "prob", 3, "fp16")
    assert form_of(toy) == "onnx"
    assert runtime.rank(np.zeros((2, 3, 4, 4), np.float32), [2, 0]).ranks.tolist() == [1, 3]


def test_errors_list_a_registered_runtime(toy, tmp_path):
    with pytest.raises(UsageError, match=f"'tensorrt': expected onnx or pytorch or {toy}$"):
        form_of("tensorrt")
    (tmp_path / "net.onnx").touch()
    with pytest.raises(DeviceError, match=r"not in fp16: .*; use --runtime pytorch or " + toy + "$"):
        open_runtime("onnx", tmp_path / "net.onnx", precision="fp16")
    with pytest.raises(DeviceError, match="a constant computes in float32 or bf16 on cuda, not in fp16"):
        open_runtime(toy, tmp_path / "net.onnx", "cuda", precision="fp16")


def test_a_second_runtime_of_one_name_is_refused(toy):
    with pytest.raises(ValueError, match=f"two entries of the kind 'runtime' are named '{toy}'"):
        register_runtime(Constant)
