"""A whole training: every seed through all stages, the nets of the result, their evidence, the verdict."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.environment import environment
from zoo.errors import DeviceError, UsageError
from zoo.evaluation.distributed import Group, SingleProcess
from zoo.evaluation.folders import hold_folders
from zoo.evaluation.sessions import local_device
from zoo.training.images import TrainingImages, check_labels
from zoo.training.job import TrainingJob
from zoo.training.manifests import TrainedNet, check_manifest
from zoo.training.net import classes_of, module_of
from zoo.training.recipe import Augmentation
from zoo.training.results import measure, trained_net, write_net
from zoo.training.run_folder import VERDICT_NAME, RunFolder
from zoo.training.stages import RESULTS, STAGES, EpochRecord
from zoo.training.verdict import Verdict, verdicts

if TYPE_CHECKING:
    import onnx_ir as ir
    import torch

    from zoo.training.trainer import Trainer, TrainingData


@dataclass
class Progress:
    """What a person is told while a training runs; each function may be replaced.

    images: (images done, images in all), while images are read before the training. epoch: (seed, record).
    step: (images of all stages and seeds done, images in all).
    """

    images: Callable[[int, int], None] = lambda done, total: None
    epoch: Callable[[int, EpochRecord], None] = lambda seed, record: None
    step: Callable[[int, int], None] = lambda done, total: None
    _done: int = field(default=0)


def train(
    job: TrainingJob,
    out: Path,
    *,
    resume: bool = False,
    group: Group | None = None,
    progress: Progress | None = None,
) -> list[Verdict]:
    """Train all seeds of the recipe and write everything into `out`; returns the verdicts by metric.

    Every process of `group` takes part; only the first one writes, and only it returns verdicts. They hold
    the folder meanwhile.

    Raises:
        UsageError: net, recipe, preprocessing and options do not fit together, or others train into `out`.
        DataError: the images or their labels cannot be used; before the first step.
        DivergedError, MaskError: the training failed.
    """
    group, progress = group or SingleProcess(), progress or Progress()
    _check_precision(job)
    folder = RunFolder(out, writes=group.rank == 0)
    model = job.source.read(job.recipe.seeds[0])
    classes = _check(job, model)
    with hold_folders([out], group):
        if group.rank == 0:
            folder.start(job.identity(), resume=resume)
        group.broadcast(None)
        data = _images(job, folder, group, progress)
        finished = []
        for number, seed in enumerate(job.recipe.seeds):
            finished += _train_seed(job, seed, number, model, data, folder, group, progress, classes)
        return [] if group.rank else _conclude(job, finished, folder)


def _conclude(job: TrainingJob, nets: list[TrainedNet], folder: RunFolder) -> list[Verdict]:
    """The evidence of all nets, and the verdicts."""
    found = verdicts(measure(job, nets, folder.path))
    folder.write_json(
        VERDICT_NAME,
        {
            "schema_version": 1,
            "command": job.command,
            "environment": environment(),
            "verdicts": [verdict.to_json() for verdict in found],
        },
    )
    return found


def _check(job: TrainingJob, model: ir.Model) -> int:
    """The number of classes. Errors for all that can be wrong before an image is read."""
    from zoo.training.optimizer import freeze
    from zoo.training.pruning import chosen_sparsities, prunable_tensors

    classes = classes_of(model)
    if classes is None:
        raise UsageError(f"{job.name}: how many classes it tells apart is not known; give --scores NAME")
    check_labels(job.data, classes, every_class=True)
    check_labels(job.test, classes, every_class=False)
    module = module_of(model)
    freeze(module, job.recipe)
    tensors = prunable_tensors(module)
    if not tensors:
        raise UsageError(f"{job.name}: has no convolution, inner product or recurrent layer to prune")
    if not any(tensor.values.requires_grad for tensor in tensors):
        raise UsageError(
            f"{job.name}: the definition freezes every layer that could be pruned (lr_mult: 0), or lets no "
            "gradient reach it (propagate_down: false); multipliers = false in the recipe leaves lr_mult out"
        )
    chosen_sparsities(tensors, job.recipe.pruning)
    if job.settings.meant_for is not None:
        raise UsageError(
            f"the numbers of the preprocessing are for {job.settings.meant_for}, whose images have other "
            f"channels or another range than those of {job.settings.preprocessing.flavour}; give --mean (and "
            "--std or --scale) for the flavour that is trained with"
        )
    record = EpochRecord("dsd", 1, 1, 0.0, 0.0, 0, 0, max(1, len(job.test)), 0.0, 0, 0.0)
    name = Path(f"{job.name}-dsd.onnx")
    example = trained_net(job, job.recipe.seeds[0], "dsd", model, name, record, classes)
    check_manifest(example, job.recipe, job.settings)
    return classes


def _check_precision(job: TrainingJob) -> None:
    """DeviceError for arithmetic that training does not have, or not on this kind of device."""
    from zoo.runtimes.runtime import parse_device

    if job.precision not in ("float32", "tf32", "bf16"):
        raise DeviceError(f"training computes in float32, tf32 or bf16, not in {job.precision}")
    if job.precision == "tf32" and parse_device(job.device)[0] != "cuda":
        raise DeviceError("tf32 is a mode of NVIDIA GPUs; a processor has float32 (--device cuda)")


def _images(job: TrainingJob, folder: RunFolder, group: Group, progress: Progress) -> TrainingData:
    """The images; every one was read once before, in this start of the training or an earlier one."""
    from zoo.training.trainer import TrainingData

    # The first process says it for all: it is also the one that notes it, perhaps before others look.
    checked = group.broadcast(folder.images_checked)
    training = TrainingImages(job.data, job.settings, job.recipe.augmentation, progress=progress.images)
    test = TrainingImages(job.test, job.settings, Augmentation(), progress=progress.images)
    if not checked:
        for images in (training, test):
            images.check_all(progress.images, rank=group.rank, ranks=group.size)
        group.broadcast(None)
        folder.note_checked_images(len(training) + len(test))
    return TrainingData(training, test)


def _train_seed(
    job: TrainingJob,
    seed: int,
    number: int,
    first_model: ir.Model,
    data: TrainingData,
    folder: RunFolder,
    group: Group,
    progress: Progress,
    classes: int,
) -> list[TrainedNet]:
    """All stages of one seed, and the nets of its result on disk."""
    from zoo.training.stage_run import train_stage

    model = first_model if number == 0 else job.source.read(seed)
    trainer = _trainer(job, seed, model, data, group)
    total = _images_in_all(job)
    before = total // len(job.recipe.seeds) * number
    trainer.save = lambda checkpoint: folder.save(seed, checkpoint)
    trainer.on_epoch = lambda record: progress.epoch(seed, record)
    counted = _Counter(before, total, progress.step)
    trainer.on_step = counted.add
    ends: dict[str, Any] = {}
    for stage in STAGES:
        epochs = job.recipe.phase(stage.phase).epochs
        trainer.set_reference(dict(ends["dense"].net) if "dense" in ends else None)
        end = folder.finished(seed, stage, epochs)
        if end is None:
            begun = folder.begun(seed, stage)
            start = trainer.state() if stage.after is None else dict(ends[stage.after].net)
            counted.skip(0 if begun is None else begun.epochs * len(data.training))
            end = train_stage(trainer, stage, start, begun)
            folder.finish(seed, end)
        else:
            counted.skip(epochs * len(data.training))
        ends[stage.name] = end
    if group.rank:
        return []
    return [
        write_net(job, seed, name, model, ends[name].net, ends[name].records[-1], folder, classes)
        for name in RESULTS
    ]


@dataclass
class _Counter:
    """Images done over all stages and seeds."""

    done: int
    total: int
    report: Callable[[int, int], None]

    def add(self, images: int) -> None:
        self.done += images
        self.report(self.done, self.total)

    def skip(self, images: int) -> None:
        self.done += images


def _images_in_all(job: TrainingJob) -> int:
    epochs = sum(job.recipe.phase(stage.phase).epochs for stage in STAGES)
    return epochs * len(job.data) * len(job.recipe.seeds)


def _trainer(job: TrainingJob, seed: int, model: ir.Model, data: TrainingData, group: Group) -> Trainer:
    from zoo.training.trainer import Trainer

    device = device_named(local_device(job.device, group))
    return Trainer(
        module_of(model).to(device),
        data,
        job.recipe,
        seed,
        device,
        group,
        precision=job.precision,
        starts_from_nothing=job.source.is_untrained,
        steps_per_checkpoint=job.steps_per_checkpoint,
    )


def device_named(name: str) -> torch.device:
    """The device of this process. DeviceError if it is not there."""
    import torch

    from zoo.runtimes.runtime import parse_device, use_gpu

    kind, index = parse_device(name)
    return use_gpu(index)[0] if kind == "cuda" else torch.device("cpu")
