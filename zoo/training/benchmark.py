"""The speed of the training loop: dense, sparse, and a bare PyTorch loop, step by step in turns."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING

from zoo.environment import environment, processors
from zoo.evaluation.distributed import SingleProcess
from zoo.training.images import TrainingImages
from zoo.training.net import module_of
from zoo.training.recipe import Augmentation
from zoo.training.stages import STAGES, Stage
from zoo.vocabulary import Precision

if TYPE_CHECKING:
    import torch

    from zoo.datasets import Dataset
    from zoo.training.inputs import TrainingInputs
    from zoo.training.trainer import Trainer

# Steps before timing starts: memory is allocated, a GPU raises its clock.
WARM_UP = 3
# Batches in memory for the bare loop.
BATCHES = 8
# However slow a step is, so many of each are timed.
LEAST_STEPS = 5


@dataclass(frozen=True, slots=True)
class StepTimes:
    """Median milliseconds of a step.

    bare: forward, backward and optimiser as one would write them in PyTorch, over batches in memory. dense,
    sparse: the loop of `dsd-zoo train`, from the images to the checked mask.
    """

    bare: float
    dense: float
    sparse: float
    steps: int
    batch_size: int
    environment: dict[str, str]

    @property
    def dense_to_bare(self) -> float:
        """What the loop costs: `dense` as a multiple of `bare`."""
        return self.dense / self.bare

    @property
    def sparse_to_dense(self) -> float:
        """What the mask costs: `sparse` as a multiple of `dense`."""
        return self.sparse / self.dense


def benchmark_training(
    inputs: TrainingInputs,
    data: Dataset,
    seconds: float,
    *,
    batch_size: int | None = None,
    device: str = "cpu",
    precision: Precision = "float32",
) -> StepTimes:
    """Time steps of the three loops for about `seconds` each, one after the other in turns.

    The load of the machine changes; in turns it is the same for all three. Errors as those of `train`.
    """
    from zoo.training.train import device_named

    recipe = inputs.recipe
    if batch_size is not None:
        recipe = recipe.model_copy(update={"batch_size": batch_size})
    images = TrainingImages(data, inputs.settings, recipe.augmentation)
    few = TrainingImages(replace(data, samples=data.samples[:1]), inputs.settings, Augmentation())
    chosen = device_named(device)
    model = inputs.source.read(recipe.seeds[0])

    def trainer() -> Trainer:
        from zoo.training.trainer import Trainer, TrainingData

        return Trainer(
            module_of(model).to(chosen),
            TrainingData(images, few),
            recipe,
            recipe.seeds[0],
            chosen,
            SingleProcess(),
            precision=precision,
            seconds_per_checkpoint=float("inf"),
        )

    dense, sparse = STAGES[3], STAGES[1]
    loops = {
        "bare": _bare_steps(trainer(), dense),
        "dense": _steps(trainer(), dense),
        "sparse": _steps(trainer(), sparse),
    }
    times = _times(loops, seconds, chosen)
    medians = {name: 1000 * median(values) for name, values in times.items()}
    return StepTimes(
        **medians,
        steps=len(times["bare"]),
        batch_size=recipe.batch_size,
        environment={**environment(), "processors": str(processors()), **_about(chosen)},
    )


def _steps(trainer: Trainer, stage: Stage) -> Iterator[None]:
    """The steps of a stage without end, checkpoints or measurements."""
    from zoo.training.arithmetic import arithmetic
    from zoo.training.checkpoints import Checkpoint
    from zoo.training.stage_run import StageRun

    run = StageRun(trainer, stage, trainer.masks(stage), Checkpoint(stage.name))
    with arithmetic(trainer.device, trainer.precision):
        while True:
            run.batches = 0
            yield from run.steps(0)


def _bare_steps(trainer: Trainer, stage: Stage) -> Iterator[None]:
    """The same steps, as one would write them in PyTorch, over batches in memory, without end."""
    import torch
    from torch.nn.functional import cross_entropy

    from zoo.training.arithmetic import arithmetic, forward_arithmetic, threads_for
    from zoo.training.optimizer import sgd

    phase = trainer.recipe.phase(stage.phase)
    recipe = trainer.recipe
    made = trainer.data.training.batches(trainer.seed, 0, recipe.batch_size, part_size=recipe.part_size)
    batches: list[list[tuple[torch.Tensor, torch.Tensor]]] = [[]]
    with contextlib.closing(made) as made:
        for part in made:
            batches[-1].append((trainer.to_device(part.images), part.labels.to(trainer.device)))
            if part.is_last and len(batches) == BATCHES:
                break
            if part.is_last:
                batches.append([])
    batches = [batch for batch in batches if batch]
    optimizer = sgd(trainer.module, trainer.recipe, phase)
    for group in optimizer.param_groups:
        group["lr"] = phase.learning_rate.at(0, max(1, phase.epochs)) * group["rate_factor"]
    with arithmetic(trainer.device, trainer.precision):
        torch.set_num_threads(threads_for(trainer.module, batches[0][0][0][:1], recipe.part_size))
        trainer.module.train()
        for batch in itertools.cycle(batches):
            optimizer.zero_grad()
            size = sum(len(labels) for _, labels in batch)
            for images, labels in batch:
                with forward_arithmetic(trainer.device, trainer.precision):
                    scores = trainer.module(images)
                scores = scores.reshape(scores.shape[:2]).float()
                loss = cross_entropy(scores, labels)
                (loss * (len(labels) / size)).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            yield


def _times(
    loops: Mapping[str, Iterator[None]], seconds: float, device: torch.device
) -> dict[str, list[float]]:
    for loop in loops.values():
        for _ in range(WARM_UP):
            next(loop)
    times: dict[str, list[float]] = {name: [] for name in loops}
    end = time.perf_counter() + seconds * len(loops)
    while time.perf_counter() < end or len(times["bare"]) < LEAST_STEPS:
        for name, loop in loops.items():
            start = time.perf_counter()
            next(loop)
            _wait(device)
            times[name].append(time.perf_counter() - start)
    return times


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        import torch

        torch.cuda.synchronize(device)


def _about(device: torch.device) -> dict[str, str]:
    import torch

    about = {"torch": torch.__version__, "threads": str(torch.get_num_threads())}
    return {**about, "gpu": torch.cuda.get_device_name(device)} if device.type == "cuda" else about
