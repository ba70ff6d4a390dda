"""The way to a GPU and back, on a stand-in for it: everything that a CUDA run does but the device itself."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from datetime import timedelta

import numpy as np
import onnxruntime
import pytest
import torch
from colour_net import save_net
from gpu_stand_in import PROVIDER, install

from zoo.cli.main import main
from zoo.errors import DeviceError, UsageError
from zoo.evaluation import distributed
from zoo.evaluation.benchmark import Rates
from zoo.evaluation.distributed import RankLostError, SingleProcess, join_group
from zoo.evaluation.sessions import local_device
from zoo.evidence.run import read_run
from zoo.preprocessing import preprocessor
from zoo.preprocessing.settings import Preprocessing
from zoo.runtimes import memory, open_runtime
from zoo.runtimes.runtime import use_gpu
from zoo.runtimes.staging import DeviceStaging


@pytest.fixture
def gpu(monkeypatch):
    return install(monkeypatch)


@pytest.fixture
def validate(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DSD_ZOO_CACHE", str(tmp_path / "cache"))

    def run(*arguments: str) -> dict:
        monkeypatch.setattr(sys, "argv", ["dsd-zoo", "validate", "digits-caffe-dsd", *arguments, "--json"])
        with pytest.raises(SystemExit) as caught:
            main()
        out, err = capsys.readouterr()
        assert caught.value.code == 0, err
        return json.loads(out)

    return run


@pytest.mark.parametrize("preprocess_on", ["host", "device"])
@pytest.mark.parametrize("runtime", ["onnx", "pytorch"])
def test_a_whole_run(gpu, validate, tmp_path, runtime, preprocess_on):
    printed = validate("--device", "cuda:1", "--runtime", runtime, "--preprocess-on", preprocess_on)
    result = read_run(tmp_path / printed["out"]).result
    assert (result.top1_correct, result.n, result.device) == (492, 500, "cuda:1")
    # As many as a GPU takes at most: half of 8 GiB.
    assert result.batch_size == 512
    assert result.environment["gpu"] == "stand-in"
    assert gpu.used == [1]
    if runtime == "onnx":
        (settings,) = gpu.providers
        assert settings == {"device_id": "1", "use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"}
        assert result.environment["provider"] == PROVIDER


@pytest.mark.parametrize(("runtime", "precision"), [("onnx", "fp16"), ("onnx", "tf32"), ("pytorch", "tf32")])
def test_a_mode_is_compared_with_float32(gpu, validate, tmp_path, runtime, precision):
    printed = validate("--device", "cuda", "--runtime", runtime, "--precision", precision)
    runs = [read_run(tmp_path / out).result for out in (printed["out"], printed["variants"][0]["out"])]
    assert [run.precision for run in runs] == [precision, "float32"]
    assert [run.top1_correct for run in runs] == [492, 492]
    assert [settings["use_tf32"] for settings in gpu.providers] == (
        [] if runtime == "pytorch" else ["1" if precision == "tf32" else "0", "0"]
    )


def test_onnx_runtime_never_falls_back_to_the_processor(gpu, monkeypatch, tmp_path):
    net = save_net(tmp_path / "net.onnx")
    gpu.starts = False
    with pytest.raises(DeviceError, match=r"cuda:0: .* would have run on the CPU;.*\n  no libcublas"):
        open_runtime("onnx", net, "cuda")
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(DeviceError, match=r"cuda:1: this ONNX Runtime .* is built without CUDA"):
        open_runtime("onnx", net, "cuda:1")


def test_the_gpu_becomes_the_current_one(monkeypatch):
    chosen = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: f"GPU {index}")
    device, name = use_gpu(1)
    assert ((device.type, device.index), name, chosen) == (("cuda", 1), "GPU 1", [1])
    with pytest.raises(DeviceError, match=r"cuda:2: PyTorch .* sees 2 CUDA devices here"):
        use_gpu(2)


def test_tensors_are_bound_where_they_lie(tmp_path):
    """A tensor of the second GPU, of which only its place is asked."""
    from zoo.runtimes.backends.onnx import _memory

    class Elsewhere:
        device = torch.device("cuda", 1)
        shape = torch.Size((2, 3))

        def data_ptr(self) -> int:
            return 4096

    assert _memory(Elsewhere()) == ("cuda", 1, np.float32, (2, 3), 4096)


def test_a_batch_is_there_before_the_net_may_read_it(monkeypatch):
    """Copies are made on a stream of their own, whose end is waited for before the batch is handed out."""
    seen = []

    class Backend:
        Stream = staticmethod(lambda: "copies")

        class Event:
            def record(self, stream: str) -> None:
                seen.append(("record", stream))

            def synchronize(self) -> None:
                seen.append(("wait", None))

        @staticmethod
        @contextmanager
        def stream(stream: str):
            seen.append(("enter", stream))
            yield
            seen.append(("leave", stream))

    monkeypatch.setattr(torch, "get_device_module", lambda device: Backend)
    staging = DeviceStaging(preprocessor(Preprocessing(flavour="caffe-warp8", crop=8)), "cpu")
    staging.stage([np.zeros((8, 8, 3), np.uint8)], 1)
    assert seen == [("enter", "copies"), ("leave", "copies"), ("record", "copies"), ("wait", None)]


def test_memory_of_a_gpu_is_what_cuda_says_is_free(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda index: ((index + 1) << 30, 80 << 30))
    assert memory.free_memory("cuda", 2) == 3 << 30


def test_every_process_has_its_own_gpu():
    assert local_device("cuda", SingleProcess()) == "cuda"
    assert local_device("cuda:3", SingleProcess()) == "cuda:3"
    second = SingleProcess(rank=5, size=8, local_rank=1, local_size=4)
    assert local_device("cuda", second) == "cuda:1"
    assert local_device("cpu", second) == "cpu"
    with pytest.raises(UsageError, match="4 processes cannot share cuda:3: give --device cuda, a GPU each"):
        local_device("cuda:3", second)


@pytest.fixture
def torchrun_environment(monkeypatch):
    """What torchrun tells its only process; the store is here, so that no port is fought over."""
    store = torch.distributed.TCPStore("localhost", 0, is_master=True, wait_for_workers=False)
    variables = {
        "RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1",
        "MASTER_ADDR": "localhost", "MASTER_PORT": str(store.port), "TORCHELASTIC_USE_AGENT_STORE": "True",
    }  # fmt: skip
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    yield
    del store


def test_counts_of_gpus_go_over_nccl_and_all_else_over_gloo(torchrun_environment, monkeypatch):
    assert distributed.BACKENDS == {"cpu": "gloo", "cuda": "cpu:gloo,cuda:nccl"}
    monkeypatch.setitem(distributed.BACKENDS, "cuda", "gloo")
    with join_group("cuda:0") as group:
        monkeypatch.setattr(group, "_kind", "cpu")
        group.heartbeat(3)
        assert (group.rank, group.size, group.local_rank, group.local_size) == (0, 1, 0, 1)
        assert group.broadcast({"a": 1}) == {"a": 1}
        assert group.all_gather("part", timedelta(seconds=30)) == ["part"]
        assert group.all_reduce([3, 4]) == [3, 4]


def test_sigterm_is_a_lost_process_while_it_lasts(torchrun_environment):
    import signal

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(RankLostError, match="ended by SIGTERM"), join_group("cpu"):
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) == before


def test_beside_a_gpu_the_slower_part_is_the_bound():
    rates = Rates(1000.0, 4000.0, 950.0, batch_size=64, at_once=1, environment={}, shared=False)
    assert (rates.bound, rates.share_of_bound, rates.share_of_slower) == (1000, 0.95, 0.95)
    rates = Rates(1000.0, 4000.0, 760.0, batch_size=64, at_once=1, environment={}, shared=True)
    assert (rates.bound, rates.share_of_bound) == pytest.approx((800, 0.95))
