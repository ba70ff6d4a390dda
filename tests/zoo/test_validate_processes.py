"""Several processes under torchrun, on the CPU over gloo: the same evidence as one process alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import timedelta

import pytest

from zoo import distributed, journal
from zoo.distributed import Alone, RankLostError, Ranks, joined
from zoo.errors import UsageError
from zoo.evidence import read_run

# What torchrun starts: the command, with rank 1 slower than the others, or killed after some batches.
PROGRAM = """
import os, signal, sys, time
import zoo.batches
rank, calls = zoo.batches._rank, []

def slower(*arguments):
    calls.append(1)
    if os.environ["RANK"] == "1":
        time.sleep(0.05)
        if len(calls) > int(os.environ.get("DIE_AFTER", 1000)):
            os.kill(os.getpid(), signal.SIGKILL)
    return rank(*arguments)

zoo.batches._rank = slower
sys.argv[0] = "dsd-zoo"
from zoo.cli import main
main()
"""


@pytest.fixture
def torchrun(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)

    def run(processes: int, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [
                sys.executable, "-m", "torch.distributed.run", "--standalone",
                f"--nproc-per-node={processes}", str(program),
                "validate", "digits-caffe-dsd", "--batch-size", "10", *arguments,
            ],
            env={**os.environ, "DSD_ZOO_CACHE": str(tmp_path / "cache"), **environment},
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip

    return run


@pytest.fixture
def alone(tmp_path):
    """The evidence of one process."""
    subprocess.run(
        [sys.executable, "-m", "zoo", "validate", "digits-caffe-dsd", "--batch-size", "10",
         "--out", str(tmp_path / "alone")],
        env={**os.environ, "DSD_ZOO_CACHE": str(tmp_path / "cache")}, check=True, capture_output=True,
    )  # fmt: skip
    return (tmp_path / "alone" / "evidence.csv").read_bytes()


def test_three_processes_one_of_them_slower(torchrun, alone, tmp_path):
    outcome = torchrun(3, "--out", str(tmp_path / "out"), "--json")
    assert outcome.returncode == 0, outcome.stderr
    # Printed once.
    printed = json.loads(outcome.stdout)
    assert (printed["result"]["processes"], printed["result"]["top1_correct"]) == (3, 492)
    assert (tmp_path / "out" / "evidence.csv").read_bytes() == alone
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["evidence.csv", "result.json"]


def test_a_lost_process_ends_the_run_and_what_was_done_is_kept(torchrun, alone, tmp_path):
    out = tmp_path / "out"
    outcome = torchrun(2, "--out", str(out), DIE_AFTER="7")
    assert outcome.returncode != 0
    kept = journal.read(out)
    # Rank 1 has every second batch; it died on its eighth.
    assert [number for number in sorted(kept) if number % 2] == [1, 3, 5, 7, 9, 11, 13]
    images = sum(len(batch.rows[0]) for batch in kept.values())
    assert "rank 0 of 2: ended by SIGTERM, which is what torchrun sends" in outcome.stderr
    assert f"the evidence of {images} images is kept in {out}" in outcome.stderr
    assert "--resume goes on" in outcome.stderr
    assert not (out / "result.json").exists()
    outcome = torchrun(2, "--out", str(out), "--resume")
    assert outcome.returncode == 0, outcome.stderr
    assert (out / "evidence.csv").read_bytes() == alone
    assert read_run(out)[0].resumed == images


def test_alone_is_a_world_of_one():
    with joined("cpu", {}) as world:
        assert isinstance(world, Alone)
        world.beat(3)
        assert (world.rank, world.size, world.share("x"), world.gather(5), world.total([1, 2])) == (
            0, 1, "x", [5], [1, 2],
        )  # fmt: skip


def test_an_environment_that_is_not_torchruns_is_named():
    with (
        pytest.raises(
            UsageError, match="without LOCAL_RANK, LOCAL_WORLD_SIZE, MASTER_ADDR, MASTER_PORT; use"
        ),
        joined("cpu", {"RANK": "0", "WORLD_SIZE": "2"}),
    ):
        pass


@pytest.fixture
def store():
    from torch.distributed import HashStore

    return HashStore()


ENVIRONMENT = {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "2"}


def test_a_silent_process_is_lost_after_a_while(store, monkeypatch):
    monkeypatch.setattr(distributed, "POLL_SECONDS", 0.01)
    store.set("beat/1", "4")
    with pytest.raises(RankLostError, match=r"rank 1 of 2 has shown no sign of life for 0:00:00\.2"):
        Ranks(ENVIRONMENT, "cpu", store).gather(None, patience=timedelta(seconds=0.2))


def test_a_store_that_hangs_up_is_a_lost_process(store, monkeypatch):
    def check(keys: list[str]) -> bool:
        raise RuntimeError("Connection reset by peer")

    broken = Ranks(ENVIRONMENT, "cpu", store)
    monkeypatch.setattr(broken, "_store", type("Store", (), {"check": check, "set": store.set}))
    with pytest.raises(RankLostError, match="another process of the run is gone: Connection reset"):
        broken.gather(None)


@pytest.mark.gpu
def test_two_gpus_or_one_over_nccl(torchrun, tmp_path):
    import torch

    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    count = min(2, torch.cuda.device_count())
    outcome = torchrun(count, "--device", "cuda", "--out", str(tmp_path / "out"), "--json")
    assert outcome.returncode == 0, outcome.stderr
    assert json.loads(outcome.stdout)["result"]["top1_correct"] == 492
