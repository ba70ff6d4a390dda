"""Trains one stage: its steps, with the mask checked after each, its epochs and its checkpoints."""

from __future__ import annotations

import contextlib
import time
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from zoo.errors import ZooError
from zoo.training.arithmetic import arithmetic, forward_arithmetic, seed_step
from zoo.training.checkpoints import Checkpoint, load_net_state, net_state
from zoo.training.net import scores_of
from zoo.training.optimizer import parameters_without_gradient, sgd
from zoo.training.stages import EpochRecord, Stage

if TYPE_CHECKING:
    from zoo.training.images import Batch
    from zoo.training.pruning import Masks
    from zoo.training.trainer import Trainer

# Between two looks at the clock, several processes take this many steps or fewer.
MOST_STEPS_BETWEEN_LOOKS = 64


class DivergedError(ZooError):
    """The loss is no number any more."""

    exit_code = 1


def train_stage(
    trainer: Trainer, stage: Stage, start: dict[str, Tensor], progress: Checkpoint | None
) -> Checkpoint:
    """Train a stage to its end; returns its last state.

    start: the weights that the stage starts from. progress: a checkpoint within the stage, to go on from.

    Raises:
        DivergedError: the loss is not finite.
        MaskError: a pruned weight is not zero.
    """
    load_net_state(trainer.module, start)
    masks = trainer.masks(stage)
    try:
        if progress is not None:
            load_net_state(trainer.module, progress.net)
        run = StageRun(trainer, stage, masks, progress or Checkpoint(stage.name))
        with arithmetic(trainer.device, trainer.precision):
            run.run()
    finally:
        if masks is not None:
            masks.remove()
    return Checkpoint(stage.name, records=run.records, epochs=len(run.records), net=trainer.state())


def _distributed(module: nn.Module) -> nn.Module:
    """The module as one of several processes trains it."""
    with warnings.catch_warnings():
        # torch 2.13 calls this argument by another name, which older versions do not have.
        warnings.simplefilter("ignore", FutureWarning)
        # Statistics of batch normalisation are those of all processes already.
        return nn.parallel.DistributedDataParallel(module, broadcast_buffers=False)


class StageRun:
    """One stage under way. records: of its finished epochs. done: where it goes on."""

    def __init__(self, trainer: Trainer, stage: Stage, masks: Masks | None, done: Checkpoint) -> None:
        self.trainer, self.stage, self.masks = trainer, stage, masks
        self.phase = trainer.recipe.phase(stage.phase)
        self.records = list(done.records)
        self.batches, self.loss_sum = done.batches, done.loss_sum
        self.optimizer = sgd(trainer.module, trainer.recipe, self.phase)
        self.optimizer.zero_grad()
        self.unreached = parameters_without_gradient(trainer.module)
        self.parameters = {
            name.removesuffix("_orig"): parameter for name, parameter in trainer.module.named_parameters()
        }
        for name, momentum in done.momentum.items():
            parameter = self.parameters[name]
            self.optimizer.state[parameter]["momentum_buffer"] = momentum.to(parameter.device).clone(
                memory_format=torch.preserve_format
            )
        self.net: nn.Module = trainer.module if trainer.group.size == 1 else _distributed(trainer.module)
        self.rate = 0.0
        self._saved_at = self._looked_at = time.monotonic()
        self._steps_to_look = self._steps_since_look = 1

    def run(self) -> None:
        """All epochs that are left."""
        for epoch in range(len(self.records), self.phase.epochs):
            started = time.perf_counter()
            for _ in self.steps(epoch):
                pass
            self._finish_epoch(epoch, time.perf_counter() - started)

    def steps(self, epoch: int) -> Iterator[None]:
        """Take the steps of an epoch that are left, and stop after each of them."""
        trainer = self.trainer
        number = self.stage.first_epoch(trainer.recipe) + epoch
        batches = trainer.data.training.batches(
            trainer.seed,
            number,
            trainer.recipe.batch_size,
            part_size=trainer.recipe.part_size,
            skip=self.batches,
            rank=trainer.group.rank,
            ranks=trainer.group.size,
        )
        steps = trainer.steps_of_epoch()
        losses = torch.zeros((), dtype=torch.float64, device=trainer.device)
        trainer.module.train()
        with contextlib.closing(batches) as batches:
            for batch in batches:
                step = number * steps + self.batches
                losses += self._gradient(batch, step)
                if not batch.is_last:
                    continue
                self.rate = self.phase.learning_rate.at(epoch + self.batches / steps, self.phase.epochs)
                self._step(self.rate)
                self.batches += 1
                trainer.on_step(batch.size)
                if self.batches < steps and self._is_time_to_save():
                    self.loss_sum += self._total(losses)
                    losses.zero_()
                    self._save()
                yield
        self.loss_sum += self._total(losses)

    def _gradient(self, batch: Batch, step: int) -> Tensor:
        """Add the gradient of a batch, or of a part of it; returns the sum of the losses of its images.

        Of several processes each has that of its images, and after the last part the gradient of all.
        """
        trainer = self.trainer
        trainer.prepare(batch, step)
        # Of its own, so that the same step has the same dropout after a resumption and in both branches. The
        # same for each part, of which dropout takes its share.
        seed_step(trainer.device, trainer.seed, step)
        with contextlib.ExitStack() as stack:
            if isinstance(self.net, nn.parallel.DistributedDataParallel) and not batch.is_last:
                stack.enter_context(self.net.no_sync())
            with forward_arithmetic(trainer.device, trainer.precision):
                scores = scores_of(self.net, trainer.to_device(batch.images))
            labels = batch.labels.to(trainer.device)
            total = nn.functional.cross_entropy(scores.float(), labels, reduction="sum")
            # DistributedDataParallel averages the gradients of the processes.
            (total * (trainer.group.size / batch.size)).backward()  # type: ignore[no-untyped-call]
        return total.detach()

    def _step(self, rate: float) -> None:
        """One step of the optimiser with the gradients that were added up. MaskError as in `Masks.check`."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["rate_factor"]
        for parameter in self.unreached:
            parameter.grad = torch.zeros_like(parameter)
        self.optimizer.step()
        self.optimizer.zero_grad()
        if self.masks is not None:
            self.masks.check()

    def _total(self, losses: Tensor) -> float:
        """The sum of the losses over all processes. DivergedError if it is not finite."""
        if self.trainer.group.size > 1:
            losses = losses.clone()
            torch.distributed.all_reduce(losses)
        total = float(losses)
        if not np.isfinite(total):
            raise DivergedError(
                f"seed {self.trainer.seed}, {self.stage.name}, epoch {len(self.records) + 1}: the loss is "
                f"{total}: the training has diverged; lower the learning rate in the recipe"
            )
        return total

    def _finish_epoch(self, epoch: int, seconds: float) -> None:
        trainer = self.trainer
        top1, top5 = trainer.measure()
        distance, zeros = trainer.distance_and_zeros()
        record = EpochRecord(
            stage=self.stage.name,
            epoch=epoch + 1,
            epochs=self.phase.epochs,
            learning_rate=self.rate,
            loss=self.loss_sum / len(trainer.data.training),
            top1=top1,
            top5=top5,
            n=len(trainer.data.test),
            distance=distance,
            zeros=zeros,
            seconds=round(seconds, 3),
        )
        self.records.append(record)
        self.batches, self.loss_sum = 0, 0.0
        trainer.on_epoch(record)
        if epoch + 1 < self.phase.epochs:
            self._save()

    def _is_time_to_save(self) -> bool:
        every = self.trainer.steps_per_checkpoint
        if every is not None:
            return self.batches % every == 0
        if self.trainer.group.size == 1:
            return self._seconds_left() < 0
        return self._look_together()

    def _seconds_left(self) -> float:
        return self.trainer.seconds_per_checkpoint - (time.monotonic() - self._saved_at)

    def _look_together(self) -> bool:
        """The answer of the first process, for all: clocks differ, and all must save at the same step.

        It also says after how many steps they look again, so that few steps wait for its answer.
        """
        self._steps_to_look -= 1
        if self._steps_to_look > 0:
            return False
        left = self._seconds_left()
        seconds_per_step = (time.monotonic() - self._looked_at) / self._steps_since_look
        # Half of the time that is left: a step may become slower.
        until = int(left / 2 / seconds_per_step) if seconds_per_step > 0 else MOST_STEPS_BETWEEN_LOOKS
        answer = left < 0, max(1, min(MOST_STEPS_BETWEEN_LOOKS, until))
        late, self._steps_to_look = self.trainer.group.broadcast(answer)
        self._looked_at, self._steps_since_look = time.monotonic(), self._steps_to_look
        return late

    def _save(self) -> None:
        momentum = {
            name: self.optimizer.state[parameter]["momentum_buffer"]
            for name, parameter in self.parameters.items()
            if self.optimizer.state.get(parameter, {}).get("momentum_buffer") is not None
        }
        self.trainer.save(
            Checkpoint(
                self.stage.name,
                len(self.records),
                self.batches,
                self.loss_sum,
                self.records,
                net_state(self.trainer.module),
                momentum,
            )
        )
        self._saved_at = time.monotonic()
