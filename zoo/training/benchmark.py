"""The speed of the training loop: dense, sparse, and a bare PyTorch loop, step by step in turns."""

from __future__ import annotations

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
from zoo.training.stages import STAGES
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
        "bare": trainer().bare_steps(dense, BATCHES),
        "dense": trainer().endless_steps(dense),
        "sparse": trainer().endless_steps(sparse),
    }
    times = _times(loops, seconds, chosen)
    medians = {name: 1000 * median(values) for name, values in times.items()}
    return StepTimes(
        **medians,
        steps=len(times["bare"]),
        batch_size=recipe.batch_size,
        environment={**environment(), "processors": str(processors()), **_about(chosen)},
    )


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
