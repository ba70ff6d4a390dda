"""`dsd-zoo bench --train`: what is timed, in which turns, and what the report says."""

from __future__ import annotations

import itertools
import json

import pytest
import torch
from command_line import runner
from small_training import PREPROCESSING, small_data, small_recipe, write_definition

from zoo.evaluation.settings import Settings
from zoo.training import benchmark
from zoo.training.benchmark import BATCHES, LEAST_STEPS, WARM_UP, StepTimes, benchmark_training
from zoo.training.inputs import TrainingInputs
from zoo.training.net import Source


@pytest.fixture
def run(monkeypatch, capsys):
    return runner(monkeypatch, capsys)


@pytest.fixture
def inputs(tmp_path):
    return TrainingInputs(
        name="small",
        source=Source([write_definition(tmp_path / "small.prototxt")]),
        hashes={},
        settings=Settings(PREPROCESSING),
        recipe=small_recipe(),
        recipe_name="small",
        data=tmp_path / "images",
        test=tmp_path / "test",
        manifest=None,
    )


def test_three_loops_take_turns_for_as_long_as_asked(inputs, tmp_path, monkeypatch):
    """However short the time is: the least number of steps of each, after the warm-up."""
    turns = []

    def recorded(name, steps):
        for step in steps:
            turns.append(name)
            yield step

    times = benchmark._times
    monkeypatch.setattr(
        benchmark, "_times", lambda loops, *rest: times({n: recorded(n, s) for n, s in loops.items()}, *rest)
    )
    found = benchmark_training(inputs, small_data(tmp_path)[0], 1e-9, batch_size=5)
    names = ["bare", "dense", "sparse"]
    warm_up = [name for name in names for _ in range(WARM_UP)]
    assert turns == warm_up + names * LEAST_STEPS
    assert (found.steps, found.batch_size) == (LEAST_STEPS, 5)
    assert min(found.bare, found.dense, found.sparse) > 0
    assert found.environment["torch"] == torch.__version__
    assert found.environment["threads"] == "1"  # the net is small


def test_the_bare_loop_takes_no_image_from_the_data_after_its_batches_are_in_memory(
    inputs, tmp_path, monkeypatch
):
    taken = []
    whole = benchmark.TrainingImages.batches

    def batches(self, *arguments, **options):
        for batch in whole(self, *arguments, **options):
            taken.append(batch.size)
            yield batch

    monkeypatch.setattr(benchmark.TrainingImages, "batches", batches)
    loops = {}
    monkeypatch.setattr(
        benchmark, "_times", lambda found, *rest: loops.update(found) or {name: [1.0] for name in found}
    )
    benchmark_training(inputs, small_data(tmp_path)[0], 1, batch_size=2)
    for _ in itertools.islice(loops["bare"], 3 * BATCHES):
        pass
    assert taken == [2] * BATCHES
    taken.clear()
    for _ in itertools.islice(loops["dense"], 30):  # beyond the end of an epoch of 12 steps
        pass
    assert len(taken) == 30


def test_the_sparse_loop_has_its_mask_and_the_others_have_none(inputs, tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(
        benchmark, "_bare_steps", lambda trainer, stage: made.append((trainer, stage)) or iter(())
    )
    whole = benchmark._steps
    monkeypatch.setattr(
        benchmark, "_steps", lambda trainer, stage: made.append((trainer, stage)) or whole(trainer, stage)
    )
    monkeypatch.setattr(
        benchmark, "_times",
        lambda loops, *rest: {name: [float(next(loop, None) is None)] for name, loop in loops.items()},
    )  # fmt: skip
    benchmark_training(inputs, small_data(tmp_path)[0], 1)
    zeros = [trainer.distance_and_zeros()[1] for trainer, _ in made]
    assert [stage.is_masked for _, stage in made] == [False, False, True]
    assert zeros[:2] == [0, 0]
    assert zeros[2] == int(0.4 * 162) + int(0.4 * 648)
    assert made[0][1].phase == made[1][1].phase == made[2][1].phase


def test_ratios():
    times = StepTimes(bare=2.0, dense=3.0, sparse=6.0, steps=5, batch_size=1, environment={})
    assert (times.dense_to_bare, times.sparse_to_dense) == (1.5, 2.0)


def test_the_command_prints_a_table_or_json(run):
    text = run("bench", "--train", "digits", "--seconds", "0.1").out
    assert "digits on cpu, float32, batches of 50, " in text
    for line in ("bare PyTorch loop ", "times the bare loop", "times the dense phase", "threads "):
        assert line in text
    came = json.loads(run("bench", "--train", "digits", "--seconds", "0.1", "--json").out)
    assert came.keys() == {
        "model", "bare", "dense", "sparse", "steps", "batch_size", "environment", "dense_to_bare",
        "sparse_to_dense",
    }  # fmt: skip
    assert came["dense_to_bare"] == pytest.approx(came["dense"] / came["bare"])
    assert came["steps"] >= LEAST_STEPS


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["bench", "--train", "digits-caffe-dsd"], "say where the images are: --data SRC"),
        (["bench", "digits-caffe-dsd", "--recipe", "digits"], "--recipe is about training"),
    ],
)
def test_what_does_not_fit_is_refused(run, words, said):
    result = run(*words)
    assert result.code == 2
    assert said in result.err
