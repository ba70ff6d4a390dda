"""`dsd-zoo validate` over what earlier runs left: unfinished, finished, of something else."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from zoo.evidence.run import Run, read_run, write_run


@pytest.fixture
def interrupted(monkeypatch):
    """Ctrl-C comes with the fourth batch, once."""
    import zoo.evaluation.batches

    rows, calls = zoo.evaluation.batches._rows, []

    def until_the_fourth(*arguments):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return rows(*arguments)

    monkeypatch.setattr(zoo.evaluation.batches, "_rows", until_the_fourth)


@pytest.mark.usefixtures("interrupted")
def test_an_interrupted_command_says_how_to_go_on(dsd_zoo_here):
    outcome = dsd_zoo_here("validate", "digits-caffe-dsd", "--batch-size", 10)
    assert outcome.code == 130
    assert "interrupted; the evidence of 30 images is kept in results/digits-caffe-dsd/onnx" in outcome.err
    outcome = dsd_zoo_here("validate", "digits-caffe-dsd", "--batch-size", 11, "--resume")
    assert outcome.code == 2
    assert "batch size was 10 and is 11" in outcome.err
    outcome = dsd_zoo_here("validate", "digits-caffe-dsd", "--batch-size", 10, "--resume")
    assert outcome.code == 0
    assert "30 images were ranked before an interruption" in outcome.out
    assert read_run(Path("results/digits-caffe-dsd/onnx")).result.top1_correct == 492


def test_a_run_that_had_ranked_all_images_before_gives_no_rate(dsd_zoo_here, monkeypatch):
    import zoo.evaluation.evaluate

    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(zoo.evaluation.evaluate, "gather", interrupt)
        assert dsd_zoo_here("validate", "digits-caffe-dsd").code == 130
    outcome = dsd_zoo_here("validate", "digits-caffe-dsd", "--resume")
    assert "500 images were ranked before an interruption" in outcome.out
    assert "492  500" in outcome.out
    assert "images/s" not in outcome.out


@pytest.mark.usefixtures("interrupted")
def test_what_an_interrupted_run_left_is_thrown_away_only_by_restart(dsd_zoo_here):
    partial = Path("results/digits-caffe-dsd/onnx/partial")
    assert dsd_zoo_here("validate", "digits-caffe-dsd", "--batch-size", 10).code == 130
    kept = {path.name: path.read_bytes() for path in partial.iterdir()}
    for options in ([], ["--batch-size", 11]):
        outcome = dsd_zoo_here("validate", "digits-caffe-dsd", *options)
        assert (outcome.code, outcome.out) == (2, "")
        assert "holds an unfinished run with the evidence of 30 images" in outcome.err
        assert "--resume goes on with it; --restart throws it away" in outcome.err
    outcome = dsd_zoo_here("validate", "digits-caffe-dsd", "--resume", "--restart")
    assert outcome.code == 2
    assert "give one of them" in outcome.err
    assert {path.name: path.read_bytes() for path in partial.iterdir()} == kept
    outcome = dsd_zoo_here("validate", "digits-caffe-dsd", "--restart")
    assert outcome.code == 0
    assert read_run(partial.parent).result.resumed == 0
    assert not partial.exists()


def test_resume_of_a_complete_run_says_so_and_computes_nothing(dsd_zoo_here, monkeypatch):
    import zoo.evaluation.evaluate

    first = dsd_zoo_here("validate", "digits-caffe-dsd", "--sensitivity", "--json")
    result = Path("results/digits-caffe-dsd/onnx/result.json")
    before = result.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(zoo.evaluation.evaluate, "open_sessions", None)
        outcome = dsd_zoo_here("validate", "digits-caffe-dsd", "--sensitivity", "--resume", "--json")
    assert (outcome.code, outcome.out) == (0, first.out)
    assert (
        "dsd-zoo: results/digits-caffe-dsd/onnx: this run is complete, nothing was left to do" in outcome.err
    )
    assert result.read_bytes() == before
    # Another batch size is another run, and so are other weights under the same name.
    outcome = dsd_zoo_here("validate", "digits-caffe-dsd", "--batch-size", 7, "--resume")
    assert (outcome.code, outcome.err) == (0, "")
    assert read_run(result).result.batch_size == 7


@pytest.mark.parametrize("name", ["files", "scores", "labels", "runtime"])
def test_a_finished_run_of_something_else_is_not_taken_for_this_one(dsd_zoo_here, monkeypatch, name):
    folder = Path("results/digits-caffe-dsd/onnx")
    assert dsd_zoo_here("validate", "digits-caffe-dsd").code == 0
    run = read_run(folder)
    changes = {
        "files": {"files": {**run.result.files, "net.onnx": "0" * 64}},
        "scores": {"scores": "other"},
        "labels": {},
        "runtime": {"runtime": "pytorch"},
    }[name]
    rows = run.rows
    if name == "labels":
        absent = next(label for label in range(10) if label not in rows[0].top5)
        rows = [dataclasses.replace(rows[0], label=absent, rank=None), *rows[1:]]
        changes = {
            "top1_correct": sum(row.top1_correct for row in rows),
            "top5_correct": sum(row.top5_correct for row in rows),
        }
    write_run(folder, Run(run.result.model_copy(update=changes), rows))
    outcome = dsd_zoo_here("validate", "digits-caffe-dsd", "--resume")
    assert (outcome.code, outcome.err) == (0, "")
    assert read_run(folder).rows == run.rows


@pytest.mark.usefixtures("interrupted")
def test_resume_keeps_the_batch_size_of_the_interrupted_run(dsd_zoo_here, monkeypatch):
    """The free memory decides the size, so the next run could choose another."""
    import zoo.evaluation.sessions

    monkeypatch.setattr(zoo.evaluation.sessions, "batch_size", lambda *arguments: 10)
    assert dsd_zoo_here("validate", "digits-caffe-dsd").code == 130
    monkeypatch.setattr(zoo.evaluation.sessions, "batch_size", lambda *arguments: 20)
    outcome = dsd_zoo_here("validate", "digits-caffe-dsd", "--resume")
    assert outcome.code == 0
    assert "batches of 10" in outcome.out
