"""What the stages of one seed are trained with, and what is measured between epochs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from zoo.errors import UsageError
from zoo.evaluation.distributed import Group
from zoo.training.arithmetic import threads_for
from zoo.training.checkpoints import Checkpoint, net_state
from zoo.training.fast_layers import use_fast_layers
from zoo.training.images import TrainingImages
from zoo.training.net import scores_of
from zoo.training.optimizer import freeze
from zoo.training.pruning import Masks, PrunableTensor, chosen_sparsities, prunable_tensors
from zoo.training.shared_layers import MovingAverages, Share, share_layers
from zoo.training.stages import EpochRecord, Stage

if TYPE_CHECKING:
    from zoo.training.images import Batch
    from zoo.training.recipe import Recipe
    from zoo.vocabulary import Precision


@dataclass(frozen=True)
class TrainingData:
    """The images to train with, and those to measure with."""

    training: TrainingImages
    test: TrainingImages


@dataclass
class Trainer:
    """The net of one seed, and all that its stages are trained with: see `zoo.training.stage_run`.

    module: on its device. starts_from_nothing: its weights are
    initial ones. on_step: called after each step with the number of images of the batch. on_epoch: called
    with the record of each epoch. save: writes a checkpoint; called after each epoch, and within one after
    every `steps_per_checkpoint` steps, or where that is None after every `seconds_per_checkpoint` seconds.
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
    _threads: int | None = None
    _part: int = 1

    def __post_init__(self) -> None:
        freeze(self.module, self.recipe)
        self.tensors: list[PrunableTensor] = prunable_tensors(self.module)
        self.sparsities = chosen_sparsities(self.tensors, self.recipe.pruning)
        if not self.tensors:
            raise UsageError("the net has no convolution, inner product or recurrent layer to prune")
        use_fast_layers(self.module)
        share_layers(self.module, self._share, processes=self.group.size)
        self._averages = MovingAverages(self.module) if self.starts_from_nothing else None
        self._reference: list[Tensor] = []
        # Convolutions on a processor are several times as fast in this layout.
        self._layout = torch.channels_last if self.device.type == "cpu" else torch.contiguous_format
        self.module.to(memory_format=self._layout)  # type: ignore[call-overload]

    def steps_of_epoch(self) -> int:
        """The number of steps of one epoch."""
        return -(-len(self.data.training) // self.recipe.batch_size)

    def _parts_before(self, step: int) -> int:
        """How many parts of batches went through the net before a step, counted over all phases."""
        count, size, part_size = len(self.data.training), self.recipe.batch_size, self.recipe.part_size
        epochs, batches = divmod(step, self.steps_of_epoch())
        full, last = -(-size // part_size), -(-(count % size) // part_size)
        return epochs * (count // size * full + last) + batches * full

    def set_reference(self, state: dict[str, Tensor] | None) -> None:
        """The weights at the end of the dense stage, from which distances count; None: not there yet."""
        if state is None:
            self._reference = []
            return
        own = net_state(self.module)
        names = {own[key].data_ptr(): key for key in own}
        self._reference = [state[names[tensor.values.data_ptr()]].to(self.device) for tensor in self.tensors]

    def masks(self, stage: Stage) -> Masks | None:
        """The masks of a stage, made from the weights as they are and put on; None for a dense stage."""
        rounding = self.recipe.pruning.rounding
        return Masks(self.tensors, self.sparsities, rounding) if stage.is_masked else None

    def state(self) -> dict[str, Tensor]:
        """A copy of the net's state, under the names that it has without masks."""
        return {key: tensor.detach().clone() for key, tensor in net_state(self.module).items()}

    def prepare(self, batch: Batch, step: int) -> None:
        """Tell dropout and batch normalisation what comes; `step` counts over all phases.

        Sets the number of threads, too: the first batch tells the sizes.
        """
        if self._threads is None and len(batch.images):
            self._threads = threads_for(self.module, self.to_device(batch.images[:1]), self.recipe.part_size)
        if self._threads is not None:
            torch.set_num_threads(self._threads)
        share = self._share
        share.first, share.count, share.size = batch.first, len(batch.labels), batch.size
        if self._averages is not None:
            self._averages.before_step(self._parts_before(step) + self._part)
            self._part = 1 if batch.is_last else self._part + 1

    def measure(self) -> tuple[int, int]:
        """Right test images by the best class, and by the five best; over all processes."""
        top1 = top5 = 0
        self.module.eval()
        size = self.recipe.part_size
        batches = self.data.test.in_order(size, rank=self.group.rank, ranks=self.group.size)
        with torch.inference_mode(), contextlib.closing(batches) as batches:
            for batch in batches:
                if not len(batch.labels):
                    continue
                scores = scores_of(self.module, self.to_device(batch.images))
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

    def to_device(self, images: Tensor) -> Tensor:
        """Images on the trainer's device, in the layout in which it computes."""
        layout = self._layout if images.ndim == 4 else torch.contiguous_format
        return images.to(self.device, memory_format=layout)
