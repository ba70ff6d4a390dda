"""Several processes under torchrun, on the CPU over gloo: the same evidence as one process alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import timedelta

import pytest
from torch.distributed import TCPStore

from zoo.errors import UsageError
from zoo.evaluation import distributed, plan
from zoo.evaluation.distributed import ProcessGroup, RankLostError, SingleProcess, join_group
from zoo.evaluation.plan import agreed_batch_size, check_same_plan
from zoo.evidence import journal
from zoo.evidence.run import read_run

# In seconds; long enough for a busy machine.
LONG_SECONDS = 600
# What torchrun starts: the command, with rank 1 slower than the others, or ranks killed after some batches.
PROGRAM = """
import os, signal, sys, time
import zoo.evaluation.batches
rows, calls = zoo.evaluation.batches._rows, []

def slower(*arguments):
    calls.append(1)
    if os.environ["RANK"] == "1":
        time.sleep(0.05)
    if len(calls) > int(os.environ.get("DIE_AFTER_" + os.environ["RANK"], 1000)):
        os.kill(os.getpid(), signal.SIGKILL)
    return rows(*arguments)

zoo.evaluation.batches._rows = slower
sys.argv[0] = "dsd-zoo"
from zoo.cli.main import main
main()
"""


@pytest.fixture
def torchrun(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)

    def run(processes: int, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        own = {"DSD_ZOO_CACHE": str(tmp_path / "cache"), "TMPDIR": str(tmp_path)}
        return subprocess.run(
            [
                sys.executable, "-m", "torch.distributed.run", "--standalone",
                f"--nproc-per-node={processes}", str(program),
                "validate", "digits-caffe-dsd", "--batch-size", "10", *arguments,
            ],
            env={**os.environ, **own, **environment},
            capture_output=True, text=True, timeout=LONG_SECONDS, check=False,
        )  # fmt: skip

    return run


@pytest.fixture
def runtime():
    return "onnx"


@pytest.fixture
def alone(tmp_path, runtime):
    """The evidence of one process."""
    subprocess.run(
        [sys.executable, "-m", "zoo", "validate", "digits-caffe-dsd", "--batch-size", "10",
         "--runtime", runtime, "--out", str(tmp_path / "alone")],
        env={**os.environ, "DSD_ZOO_CACHE": str(tmp_path / "cache")}, check=True, capture_output=True,
    )  # fmt: skip
    return (tmp_path / "alone" / "evidence.csv").read_bytes()


@pytest.mark.parametrize("runtime", ["onnx", "pytorch"])
def test_three_processes_one_of_them_slower(torchrun, alone, tmp_path, runtime):
    outcome = torchrun(3, "--runtime", runtime, "--out", str(tmp_path / "out"), "--json")
    assert outcome.returncode == 0, outcome.stderr
    # Printed once.
    printed = json.loads(outcome.stdout)
    assert (printed["result"]["processes"], printed["result"]["top1_correct"]) == (3, 492)
    assert (tmp_path / "out" / "evidence.csv").read_bytes() == alone
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["evidence.csv", "result.json"]


def test_several_nets_shared_by_two_processes_one_of_which_is_lost(torchrun, alone, tmp_path):
    """The evidence of the first net is that of one process and net alone, and the other is no shorter."""
    out, nets = tmp_path / "out", ("digits-caffe-dsd", "digits-caffe-baseline")
    outcome = torchrun(2, nets[1], "--out", str(out), DIE_AFTER_1="14")
    assert outcome.returncode != 0
    # Each batch gives a row for each net; rank 1 died on its eighth.
    assert all(f"is kept in {out / name}" in outcome.stderr for name in nets)
    assert all(
        [n for n in sorted(journal.read(out / name)) if n % 2] == list(range(1, 15, 2)) for name in nets
    )
    outcome = torchrun(2, nets[1], "--out", str(out), "--resume", "--json")
    assert outcome.returncode == 0, outcome.stderr
    printed = json.loads(outcome.stdout)
    assert [net["result"]["top1_correct"] for net in printed["nets"]] == [492, 493]
    assert [(pair["model"], pair["baseline"]) for pair in printed["pairs"]] == [nets]
    assert (out / nets[0] / "evidence.csv").read_bytes() == alone


def test_a_lost_process_ends_the_run_and_what_was_done_is_kept(torchrun, alone, tmp_path):
    out = tmp_path / "out"
    outcome = torchrun(2, "--out", str(out), DIE_AFTER_1="7")
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
    assert read_run(out).result.resumed == images


@pytest.fixture
def machines(tmp_path):
    """Runs the command on two machines: torchrun agents in separate folders that share only the network."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    folders = [tmp_path / name for name in ("one", "another")]

    def run(*arguments: str, **environment: str) -> list[subprocess.CompletedProcess[str]]:
        # Their common store has the port from the start, so that no other program can take it.
        meeting = TCPStore("localhost", 0, is_master=True, wait_for_workers=False)
        agents = []
        for folder in folders:
            folder.mkdir(exist_ok=True)
            command = [
                sys.executable, "-m", "torch.distributed.run", "--nnodes=2", "--nproc-per-node=1",
                "--rdzv-backend=c10d", f"--rdzv-endpoint=localhost:{meeting.port}", "--rdzv-conf=is_host=0",
                str(program), "validate", "digits-caffe-dsd", "--batch-size", "10", "--out", "out",
            ]  # fmt: skip
            own = {
                **os.environ,
                "DSD_ZOO_CACHE": str(folder / "cache"),
                "TMPDIR": str(tmp_path),
                **environment,
            }
            agents.append(
                subprocess.Popen(
                    [*command, *arguments],
                    cwd=folder, env=own, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                )
            )  # fmt: skip
        try:
            printed = [agent.communicate(timeout=LONG_SECONDS) for agent in agents]
        finally:
            for agent in agents:
                agent.kill()
        return [
            subprocess.CompletedProcess(agent.args, agent.returncode, *streams)
            for agent, streams in zip(agents, printed, strict=True)
        ]

    return folders, run


def test_machines_without_a_common_folder(machines, alone):
    folders, run = machines
    outcomes = run(DIE_AFTER_0="9", DIE_AFTER_1="7")
    assert all(outcome.returncode for outcome in outcomes)
    kept = [set(journal.read(folder / "out")) for folder in folders]
    # Each machine has its own batches: every second one.
    assert kept[0] | kept[1]
    assert not {number % 2 for number in kept[0]} & {number % 2 for number in kept[1]}
    assert not [path for folder in folders for path in folder.rglob("result.json")]
    outcomes = run("--resume", "--json")
    assert [outcome.returncode for outcome in outcomes] == [0, 0], outcomes
    (folder,) = [folder for folder in folders if (folder / "out" / "result.json").exists()]
    assert (folder / "out" / "evidence.csv").read_bytes() == alone
    assert read_run(folder / "out").result.resumed == 10 * len(kept[0] | kept[1])
    # Printed once; the machine without the result keeps nothing.
    assert [bool(outcome.stdout) for outcome in outcomes] == [each == folder for each in folders]
    (other,) = [each for each in folders if each != folder]
    assert not list((other / "out").iterdir())


def test_machines_that_see_other_images_do_not_measure_together(monkeypatch):
    plans = [{"images": 5, "model": "m"}, {"images": 5, "model": "m"}, {"images": 6, "model": "m"}]
    group = SingleProcess(rank=1, size=3)
    monkeypatch.setattr(SingleProcess, "broadcast", lambda self, value, source=0: plans[source])
    with pytest.raises(UsageError, match="rank 2 does not measure what rank 0 measures: different images;"):
        check_same_plan(plans[1], group)
    plans[2] = plans[0]
    check_same_plan(plans[1], group)


def test_a_resumed_run_keeps_its_batch_size_on_whichever_machine_it_is(monkeypatch):
    """Rank 0 may now be on a machine without the run, with other memory."""
    batch_sizes = [None, 6]
    monkeypatch.setattr(plan, "_batch_size_before", lambda job, folder: "own")
    monkeypatch.setattr(
        SingleProcess, "broadcast", lambda self, value, source=0: batch_sizes[source] if value == "own" else 4
    )
    for rank in range(2):
        assert agreed_batch_size(None, None, 8, SingleProcess(rank=rank, size=2)) == 6
    batch_sizes[1] = None
    assert agreed_batch_size(None, None, 8, SingleProcess(rank=1, size=2)) == 4


def test_a_single_process_is_a_group_of_one():
    with join_group("cpu", {}) as group:
        assert isinstance(group, SingleProcess)
        group.heartbeat(3)
        assert (group.rank, group.size, group.broadcast("x"), group.all_gather(5)) == (0, 1, "x", [5])
        assert group.all_reduce([1, 2]) == [1, 2]


def test_an_incomplete_torchrun_environment_is_refused():
    with (
        pytest.raises(
            UsageError, match="without LOCAL_RANK, LOCAL_WORLD_SIZE, MASTER_ADDR, MASTER_PORT; use"
        ),
        join_group("cpu", {"RANK": "0", "WORLD_SIZE": "2"}),
    ):
        pass


@pytest.fixture
def store():
    from torch.distributed import HashStore

    return HashStore()


ENVIRONMENT = {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "2"}


def test_a_process_without_heartbeat_is_lost_after_the_timeout(store, monkeypatch):
    monkeypatch.setattr(distributed, "POLL_SECONDS", 0.01)
    store.set("beat/1", "4")
    with pytest.raises(RankLostError, match=r"rank 1 of 2 has shown no sign of life for 0:00:00\.2"):
        ProcessGroup(ENVIRONMENT, "cpu", store).all_gather(None, timeout=timedelta(seconds=0.2))


@pytest.mark.parametrize("broken", ["set", "check"])
def test_a_store_that_closes_its_connection_is_a_lost_process(store, monkeypatch, broken):
    def hang_up(*arguments: object) -> None:
        raise RuntimeError("Connection reset by peer")

    methods = {"set": store.set, "check": store.check, broken: hang_up}
    rank = ProcessGroup(
        ENVIRONMENT, "cpu", type("Store", (), {n: staticmethod(f) for n, f in methods.items()})
    )
    with pytest.raises(RankLostError, match="another process of the run is gone: Connection reset"):
        rank.all_gather(None)
    if broken == "set":
        with pytest.raises(RankLostError, match="another process of the run is gone"):
            rank.heartbeat(1)


@pytest.mark.gpu
def test_two_gpus_or_one_over_nccl(torchrun, tmp_path):
    import torch

    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    count = min(2, torch.cuda.device_count())
    outcome = torchrun(count, "--device", "cuda", "--out", str(tmp_path / "out"), "--json")
    assert outcome.returncode == 0, outcome.stderr
    assert json.loads(outcome.stdout)["result"]["top1_correct"] == 492
