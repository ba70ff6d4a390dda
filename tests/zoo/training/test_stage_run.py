"""When checkpoints are written: by steps, by the clock, with several processes by that of the first."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from small_training import PREPROCESSING, small_job, small_recipe

from zoo.evaluation.distributed import SingleProcess
from zoo.evaluation.settings import Settings
from zoo.training import stage_run
from zoo.training.checkpoints import Checkpoint
from zoo.training.images import TrainingImages
from zoo.training.net import module_of
from zoo.training.pruning import MaskError
from zoo.training.recipe import Augmentation
from zoo.training.stage_run import StageRun, train_stage
from zoo.training.stages import STAGES
from zoo.training.trainer import Trainer, TrainingData


class Clock:
    """A clock that goes on by so many seconds at each look."""

    def __init__(self, now: float = 0, per_look: float = 0) -> None:
        self.now, self._per_look = now, per_look

    def monotonic(self) -> float:
        self.now += self._per_look
        return self.now

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def trainer(tmp_path):
    job = small_job(tmp_path, recipe=small_recipe(batch_size=2))
    images = [TrainingImages(data, Settings(PREPROCESSING), Augmentation()) for data in (job.data, job.test)]
    net = module_of(job.source.read(3))
    return Trainer(net, TrainingData(*images), job.recipe, 3, torch.device("cpu"), SingleProcess())


def saved_at(trainer: Trainer, monkeypatch, **options) -> list[tuple[int, int]]:
    """(epochs, batches) of each checkpoint of the dense stage: 2 epochs of 12 steps."""
    found: list[Checkpoint] = []
    trainer = replace(trainer, save=found.append, **options)
    monkeypatch.setattr(stage_run, "time", Clock(per_look=1))
    train_stage(trainer, STAGES[0], trainer.state(), None)
    return [(checkpoint.epochs, checkpoint.batches) for checkpoint in found]


def test_after_every_epoch_but_the_last(trainer, monkeypatch):
    assert saved_at(trainer, monkeypatch, seconds_per_checkpoint=1000) == [(1, 0)]


def test_by_steps(trainer, monkeypatch):
    assert saved_at(trainer, monkeypatch, steps_per_checkpoint=5) == [
        (0, 5),
        (0, 10),
        (1, 0),
        (1, 5),
        (1, 10),
    ]


def test_by_the_clock(trainer, monkeypatch):
    times = saved_at(trainer, monkeypatch, seconds_per_checkpoint=3)
    assert [batches for epochs, batches in times if not epochs] == [4, 8]


def test_a_pruned_weight_that_a_step_moves_ends_the_training_after_that_step(trainer, monkeypatch):
    """Whatever the optimiser does: here it adds a trifle to every weight."""
    whole, steps = torch.optim.SGD.step, []

    def step(optimizer):
        whole(optimizer)
        steps.append(optimizer)
        if len(steps) == 3:
            with torch.no_grad():
                for group in optimizer.param_groups:
                    for parameter in group["params"]:
                        parameter.add_(1e-12)

    monkeypatch.setattr(torch.optim.SGD, "step", step)
    with pytest.raises(MaskError, match=r"pruned weights of conv, fc are not zero after a step"):
        train_stage(trainer, STAGES[1], trainer.state(), None)
    assert len(steps) == 3


class FirstOf:
    """The first of some processes, as StageRun sees it; the others hear what it says."""

    rank, size = 0, 2

    def __init__(self, told: list) -> None:
        self.told = told

    def broadcast(self, value):
        self.told.append(value)
        return value


class AnotherOf(FirstOf):
    """Hears, and never decides itself."""

    rank = 1

    def broadcast(self, value):
        del value
        return self.told.pop(0)


def looks(trainer: Trainer, group, clock: Clock, monkeypatch, steps: int = 400) -> list[int]:
    """The steps at which a process saves, whose steps take a second each by its clock."""
    monkeypatch.setattr(stage_run, "time", clock)
    run = StageRun(replace(trainer, seconds_per_checkpoint=100), STAGES[0], None, Checkpoint("dense"))
    run.trainer.group = group
    found = []
    for step in range(steps):
        clock.now += 1
        if run._is_time_to_save():
            found.append(step)
            run._saved_at = clock.monotonic()
    return found


def test_several_processes_save_at_the_steps_that_the_first_of_them_says(trainer, monkeypatch):
    told: list = []
    first = looks(trainer, FirstOf(told), Clock(), monkeypatch)
    assert first == [100, 201, 302]  # the first step with more than 100 seconds behind it
    assert len(told) < 60  # few of the 400 steps wait for an answer
    assert looks(trainer, AnotherOf(list(told)), Clock(now=1e6), monkeypatch) == first
