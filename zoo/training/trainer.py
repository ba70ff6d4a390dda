"""The loop: one stage of one seed, step by step, with its mask, checkpoints and measurements."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from zoo.errors import UsageError, ZooError
from zoo.evaluation.distributed import Group
from zoo.training.arithmetic import arithmetic, forward_arithmetic, step_seed
from zoo.training.checkpoints import Checkpoint, load_net_state, net_state
from zoo.training.images import Batch, TrainingImages
from zoo.training.net import scores_of
from zoo.training.optimizer import sgd
from zoo.training.pruning import Masks, PrunableTensor, chosen_sparsities, prunable_tensors
from zoo.training.shared_layers import MovingAverages, Share, share_layers
from zoo.training.stages import EpochRecord, Stage

if TYPE_CHECKING:
    from zoo.training.recipe import Recipe
    from zoo.vocabulary import Precision


class DivergedError(ZooError):
    """The loss is no number any more."""

    exit_code = 1


@dataclass(frozen=True)
class TrainingData:
    """The images to train with, and those to measure with."""

    training: TrainingImages
    test: TrainingImages


@dataclass
class Trainer:
    """Trains the stages of one seed with one net.

    module: on its device, in the state in which the stage starts. starts_from_nothing: its weights are
    initial ones. on_step: called after each step with the number of images of the batch. on_epoch: called
    with the record of each epoch. save: writes a checkpoint; called after each epoch, and after every
    `steps_per_checkpoint` steps.
    """

    module: nn.Module
    data: TrainingData
    recipe: Recipe
    seed: int
    device: torch.device
    group: Group
    precision: Precision = "float32"
    starts_from_nothing: bool = False
    steps_per_checkpoint: int | None = None
    seconds_per_checkpoint: float = 600.0
    on_step: Callable[[int], None] = lambda images: None
    on_epoch: Callable[[EpochRecord], None] = lambda record: None
    save: Callable[[Checkpoint], None] = lambda checkpoint: None
    _share: Share = field(default_factory=Share)

    def __post_init__(self) -> None:
        self.tensors: list[PrunableTensor] = prunable_tensors(self.module)
        self.sparsities = chosen_sparsities(self.tensors, self.recipe.pruning)
        if not self.tensors:
            raise UsageError("the net has no convolution, inner product or recurrent layer to prune")
        share_layers(self.module, self._share, processes=self.group.size)
        self._averages = MovingAverages(self.module) if self.starts_from_nothing else None
        self._reference: list[Tensor] = []
        # Convolutions on a processor are several times as fast in this layout.
        self._layout = torch.channels_last if self.device.type == "cpu" else torch.contiguous_format
        self.module.to(memory_format=self._layout)  # type: ignore[call-overload]

    def steps_of_epoch(self) -> int:
        """The number of steps of one epoch."""
        return -(-len(self.data.training) // self.recipe.batch_size)

    def set_reference(self, state: dict[str, Tensor] | None) -> None:
        """The weights at the end of the dense stage, from which distances count; None: not there yet."""
        if state is None:
            self._reference = []
            return
        own = net_state(self.module)
        names = {own[key].data_ptr(): key for key in own}
        self._reference = [state[names[tensor.values.data_ptr()]].to(self.device) for tensor in self.tensors]

    def train(self, stage: Stage, start: dict[str, Tensor], progress: Checkpoint | None) -> Checkpoint:
        """Train a stage to its end; returns its last state.

        start: the weights that the stage starts from. progress: a checkpoint within the stage, to go on from.

        Raises:
            DivergedError: the loss is not finite.
            MaskError: a pruned weight is not zero.
        """
        load_net_state(self.module, start)
        rounding = self.recipe.pruning.rounding
        masks = Masks(self.tensors, self.sparsities, rounding) if stage.is_masked else None
        try:
            done = progress or Checkpoint(stage.name)
            if progress is not None:
                load_net_state(self.module, progress.net)
            run = _StageRun(self, stage, masks, done)
            with arithmetic(self.device, self.precision):
                run.run()
        finally:
            if masks is not None:
                masks.remove()
        return Checkpoint(stage.name, records=run.records, epochs=len(run.records), net=self.state())

    def endless_steps(self, stage: Stage) -> Iterator[None]:
        """The steps of a stage without end, checkpoints or measurements: to be timed, one at a time."""
        masks = (
            Masks(self.tensors, self.sparsities, self.recipe.pruning.rounding) if stage.is_masked else None
        )
        run = _StageRun(self, stage, masks, Checkpoint(stage.name))
        with arithmetic(self.device, self.precision):
            while True:
                run.batches = 0
                yield from run.steps(0)

    def bare_steps(self, stage: Stage, count: int) -> Iterator[None]:
        """The same steps, as one would write them in PyTorch, over `count` batches in memory, without end."""
        phase = self.recipe.phase(stage.phase)
        made = self.data.training.batches(self.seed, 0, self.recipe.batch_size)
        with contextlib.closing(made) as made:
            batches = [
                (self._to_device(batch.images), batch.labels.to(self.device))
                for batch in itertools.islice(made, count)
            ]
        optimizer = sgd(self.module, self.recipe, phase)
        for group in optimizer.param_groups:
            group["lr"] = phase.learning_rate.at(0, max(1, phase.epochs)) * group["rate_factor"]
        self.module.train()
        with arithmetic(self.device, self.precision):
            for images, labels in itertools.cycle(batches):
                optimizer.zero_grad()
                with forward_arithmetic(self.device, self.precision):
                    scores = self.module(images)
                scores = scores.reshape(scores.shape[:2]).float()
                nn.functional.cross_entropy(scores, labels).backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                yield

    def state(self) -> dict[str, Tensor]:
        """A copy of the net's state, under the names that it has without masks."""
        return {key: tensor.detach().clone() for key, tensor in net_state(self.module).items()}

    def measure(self) -> tuple[int, int]:
        """Right test images by the best class, and by the five best; over all processes."""
        top1 = top5 = 0
        self.module.eval()
        size = self.recipe.batch_size
        batches = self.data.test.in_order(size, rank=self.group.rank, ranks=self.group.size)
        with torch.inference_mode(), contextlib.closing(batches) as batches:
            for batch in batches:
                if not len(batch.labels):
                    continue
                scores = scores_of(self.module, self._to_device(batch.images))
                labels = batch.labels.to(self.device)
                own = scores.gather(1, labels[:, None])
                classes = torch.arange(scores.shape[1], device=self.device)
                ahead = (scores > own) | ((scores == own) & (classes < labels[:, None])) | scores.isnan()
                ranks = ahead.sum(1)
                top1 += int((ranks < 1).sum())
                top5 += int((ranks < 5).sum())
        right = self.group.all_reduce([top1, top5])
        return right[0], right[1]

    def distance_and_zeros(self) -> tuple[float, int]:
        """How far the prunable weights are from the reference, relative to it; how many of them are zero."""
        values = [tensor.values.detach() for tensor in self.tensors]
        zeros = sum(v.numel() - int(torch.count_nonzero(v)) for v in values)
        if not self._reference:
            return 0.0, zeros
        pairs = zip(values, self._reference, strict=True)
        apart = sum(float((v.double() - r.double()).square().sum()) for v, r in pairs)
        length = sum(float(r.double().square().sum()) for r in self._reference)
        return (apart / length) ** 0.5 if length else 0.0, zeros

    def _to_device(self, images: Tensor) -> Tensor:
        layout = self._layout if images.ndim == 4 else torch.contiguous_format
        return images.to(self.device, memory_format=layout)


class _StageRun:
    """One stage under way."""

    def __init__(self, trainer: Trainer, stage: Stage, masks: Masks | None, done: Checkpoint) -> None:
        self.trainer, self.stage, self.masks = trainer, stage, masks
        self.phase = trainer.recipe.phase(stage.phase)
        self.records = list(done.records)
        self.batches, self.loss_sum = done.batches, done.loss_sum
        self.optimizer = sgd(trainer.module, trainer.recipe, self.phase)
        self.parameters = {
            name.removesuffix("_orig"): parameter for name, parameter in trainer.module.named_parameters()
        }
        for name, momentum in done.momentum.items():
            parameter = self.parameters[name]
            self.optimizer.state[parameter]["momentum_buffer"] = momentum.to(parameter.device).clone(
                memory_format=torch.preserve_format
            )
        self.net: nn.Module = trainer.module
        if trainer.group.size > 1:
            # Statistics of batch normalisation are those of all processes already.
            self.net = nn.parallel.DistributedDataParallel(trainer.module, broadcast_buffers=False)
        self.saved_at = time.monotonic()
        self.rate = 0.0

    def run(self) -> None:
        """All epochs that are left."""
        for epoch in range(len(self.records), self.phase.epochs):
            self._epoch(epoch)

    def _epoch(self, epoch: int) -> None:
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
            skip=self.batches,
            rank=trainer.group.rank,
            ranks=trainer.group.size,
        )
        steps = trainer.steps_of_epoch()
        losses = torch.zeros((), dtype=torch.float64, device=trainer.device)
        trainer.module.train()
        with contextlib.closing(batches) as batches:
            for batch in batches:
                self.rate = self.phase.learning_rate.at(epoch + self.batches / steps, self.phase.epochs)
                losses += self._step(batch, self.rate, number * steps + self.batches)
                self.batches += 1
                trainer.on_step(batch.size)
                if self.batches < steps and self._is_time_to_save():
                    self.loss_sum += self._total(losses)
                    losses.zero_()
                    self._save()
                yield
        self.loss_sum += self._total(losses)

    def _step(self, batch: Batch, rate: float, step: int) -> Tensor:
        """One step of the optimiser; returns the sum of the losses of this process's images."""
        trainer, share = self.trainer, self.trainer._share
        share.first, share.count, share.size = batch.first, len(batch.labels), batch.size
        if trainer._averages is not None:
            trainer._averages.before_step(step + 1)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["rate_factor"]
        # Of its own, so that the same step has the same dropout after a resumption and in both branches.
        torch.manual_seed(step_seed(trainer.seed, step))
        self.optimizer.zero_grad()
        with forward_arithmetic(trainer.device, trainer.precision):
            scores = scores_of(self.net, trainer._to_device(batch.images))
        labels = batch.labels.to(trainer.device)
        total = nn.functional.cross_entropy(scores.float(), labels, reduction="sum")
        # DistributedDataParallel averages the gradients of the processes.
        (total * (trainer.group.size / batch.size)).backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        if self.masks is not None:
            self.masks.check()
        return total.detach()

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
        # The clocks of several processes differ: all of them must save at the same step, so none does.
        late = time.monotonic() - self.saved_at > self.trainer.seconds_per_checkpoint
        return late and self.trainer.group.size == 1

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
        self.saved_at = time.monotonic()
