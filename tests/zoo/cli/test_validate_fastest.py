"""`dsd-zoo validate --runtime fastest`."""

from __future__ import annotations

from pathlib import Path

import pytest

import zoo.evaluation.batches
import zoo.evaluation.fastest
from zoo.evidence.run import read_run

RATES = {"onnx": 100.0, "openvino": 50.0, "pytorch": 200.0}


@pytest.fixture
def measured(monkeypatch) -> list[str]:
    """The runtimes that were measured; the rates are those of `RATES`."""
    asked: list[str] = []

    def rate(job, variant, seconds):
        asked.append(job.runtime)
        return RATES[job.runtime]

    monkeypatch.setattr(zoo.evaluation.fastest, "inference_rate", rate)
    return asked


COMMAND = ["validate", "digits-caffe-dsd", "--limit", 40, "--batch-size", 10, "--runtime", "fastest"]


def test_the_fastest_runs_under_its_own_name(dsd_zoo_here, measured):
    assert dsd_zoo_here(*COMMAND).code == 0
    result = read_run(Path("results/digits-caffe-dsd/pytorch-first40")).result
    assert result.runtime == "pytorch"
    told = result.environment["fastest of"]
    assert told.endswith(" images/s")
    assert [part.split()[0] for part in told.split(", ")] == measured
    assert "pytorch 200.0" in told


def test_resume_takes_the_runtime_of_the_evidence(dsd_zoo_here, measured, monkeypatch):
    rows, calls = zoo.evaluation.batches._rows, []

    def until_the_third(*arguments):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return rows(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(zoo.evaluation.batches, "_rows", until_the_third)
        assert dsd_zoo_here(*COMMAND).code == 130
    measured.clear()
    monkeypatch.setitem(RATES, "onnx", 1000.0)
    outcome = dsd_zoo_here(*COMMAND)
    assert outcome.code == 2
    assert "--resume goes on with it" in outcome.err
    assert dsd_zoo_here(*COMMAND, "--resume").code == 0
    assert read_run(Path("results/digits-caffe-dsd/pytorch-first40")).result.resumed == 20
    outcome = dsd_zoo_here(*COMMAND, "--resume")
    assert "this run is complete" in outcome.err
    assert measured == []
