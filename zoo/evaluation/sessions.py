"""Nets and preprocessing, opened and checked against each other before any image is read."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zoo.environment import processors
from zoo.errors import DataError, UsageError, excerpt
from zoo.evaluation.distributed import Group
from zoo.evaluation.job import Evaluation, Job, named_if
from zoo.evaluation.variants import Variant
from zoo.preprocessing import Preprocessor, preprocessor
from zoo.preprocessing.settings import decoding_of
from zoo.runtimes import Runtime, open_runtime
from zoo.runtimes.input_shape import COLOURS, check_input
from zoo.runtimes.memory import batch_size, free_memory, images_that_fit
from zoo.runtimes.runtime import parse_device
from zoo.runtimes.staging import DeviceStaging, HostStaging, Staging, WholeImages
from zoo.vocabulary import Precision

# Preprocessing as JSON, the flavour that it is meant for, the SHA-256 of the mean image; the order of the
# channels, if the net takes whole images.
_StagingKey = tuple[str, str | None, str | None, str | None]
# The converted net, the output that ranks the classes, the precision.
_NetKey = tuple[Path, str | None, Precision]


@dataclass(frozen=True, slots=True)
class Session:
    """An open variant. Sessions with the same preprocessing have the same `staging` and `staging_index`.

    net: the index of its evaluation in the pass.
    net_name: how messages call the net: "the net"; its model's name if the pass has several nets.
    """

    net: int
    net_name: str
    staging_index: int
    staging: Staging
    runtime: Runtime


@dataclass(frozen=True, slots=True)
class BatchPlan:
    """How images are grouped for the nets.

    size: images in a batch.
    concurrent: batches that are ranked at the same time.
    decoders: threads that read and decode images ahead.
    """

    size: int
    concurrent: int
    decoders: int


@contextlib.contextmanager
def open_sessions(evaluations: Sequence[Evaluation], group: Group) -> Iterator[list[Session]]:
    """A session for each variant of each net; those of one net and precision share one loaded net.

    Raises:
        UsageError: net, preprocessing and options do not fit together.
        DataError: a label is no class of the net.
        DeviceError: the device or the precision is not available.
    """
    several = len(evaluations) > 1
    prepares: dict[_StagingKey, Preprocessor] = {}
    for evaluation in evaluations:
        with named_if(several, evaluation.job.model):
            for variant in evaluation.variants:
                key = _key(evaluation, variant)
                if key not in prepares:
                    prepares[key] = _preprocessor(evaluation.job, variant)
    job = evaluations[0].job
    device = local_device(job.device, group)
    with contextlib.ExitStack() as stack:
        loaded: dict[_NetKey, Runtime] = {}
        for evaluation in evaluations:
            with named_if(several, evaluation.job.model):
                _load(evaluation, device, group, stack, loaded)
                first = evaluation.variants[0]
                runtime, prepare = loaded[_net_key(evaluation, first)], prepares[_key(evaluation, first)]
                _check_labels(evaluation.job, runtime, prepare)
        stagings = {key: _staging(job, prepare, device, key[-1]) for key, prepare in prepares.items()}
        places = {key: index for index, key in enumerate(stagings)}
        yield [
            Session(
                net,
                evaluation.job.model if several else "the net",
                places[_key(evaluation, variant)],
                stagings[_key(evaluation, variant)],
                loaded[_net_key(evaluation, variant)],
            )
            for net, evaluation in enumerate(evaluations)
            for variant in evaluation.variants
        ]


def _load(
    evaluation: Evaluation,
    device: str,
    group: Group,
    stack: contextlib.ExitStack,
    loaded: dict[_NetKey, Runtime],
) -> None:
    """Load the net for each precision, unless that is done, and check what each variant prepares."""
    job = evaluation.job
    threads = local_processors(group) if group.size > 1 else None
    for variant in evaluation.variants:
        key = _net_key(evaluation, variant)
        if key not in loaded:
            runtime = open_runtime(
                job.runtime, job.net, device, scores=job.scores, threads=threads, precision=variant.precision
            )
            loaded[key] = stack.enter_context(contextlib.closing(runtime))
        if job.image_order is None:
            check_input(str(job.net), loaded[key].input_shape, variant.preprocessing)


def local_device(device: str, group: Group) -> str:
    """The device of this process: `cuda` means a GPU for each. UsageError if processes would share one."""
    if ":" in device and group.local_size > 1:
        raise UsageError(
            f"{group.local_size} processes cannot share {device}: give --device cuda, a GPU each"
        )
    return f"cuda:{group.local_rank}" if device == "cuda" and group.size > 1 else device


def local_processors(group: Group) -> int:
    """How many of this machine's processors one of its processes uses."""
    return max(1, processors() // group.local_size)


def choose_batch_size(evaluations: Sequence[Evaluation], sessions: Sequence[Session], group: Group) -> int:
    """Images per inference: as the job or a net fixes it, else a useful size that fits into memory.

    UsageError if nets fix different sizes: images are grouped once for all nets of a pass.
    """
    job = evaluations[0].job
    fixed = {session.runtime.batch: session.net for session in sessions if session.runtime.batch is not None}
    if len(fixed) > 1:
        sizes = ", ".join(f"{evaluations[net].job.model} of {size} only" for size, net in fixed.items())
        raise UsageError(
            f"one pass groups the images into batches for all nets, but they take batches of different "
            f"sizes: {sizes}; validate them one by one"
        )
    wanted, size = job.batch_size, next(iter(fixed), None)
    if wanted is not None and wanted < 1:
        raise UsageError(f"the batch size must be 1 or more, not {wanted}")
    if size is not None and wanted not in (None, size):
        net = evaluations[fixed[size]].job.net
        raise UsageError(f"{net}: it takes batches of {size} only, not of {wanted}")
    if wanted is not None or size is not None:
        return wanted or size or 1
    kind, _ = parse_device(local_device(job.device, group))
    concurrent = _concurrent(sessions)
    fits = max(1, _images_that_fit(evaluations, group) // concurrent)
    return batch_size(kind, fits, max(1, local_processors(group) // concurrent))


def plan_batches(
    evaluations: Sequence[Evaluation], sessions: Sequence[Session], group: Group, size: int
) -> BatchPlan:
    """Batches of that size; as many at the same time as the runtime wants and as fit into memory."""
    fits = max(1, _images_that_fit(evaluations, group) // size)
    return BatchPlan(size, min(_concurrent(sessions), fits), local_processors(group))


def _concurrent(sessions: Sequence[Session]) -> int:
    return min(session.runtime.at_once for session in sessions)


def _images_that_fit(evaluations: Sequence[Evaluation], group: Group) -> int:
    """How many images the nets of this process may hold in memory at the same time.

    A batch goes through one net after the other, but a runtime keeps the memory of its last batch.
    """
    kind, index = parse_device(local_device(evaluations[0].job.device, group))
    crops = [variant.preprocessing.crop for evaluation in evaluations for variant in evaluation.variants]
    sharing = len(evaluations) * (group.local_size if kind == "cpu" else 1)
    return images_that_fit(COLOURS * max(crops) ** 2, free_memory(kind, index) // sharing)


def _key(evaluation: Evaluation, variant: Variant) -> _StagingKey:
    """Equal for variants, of one net or of several, whose images are prepared alike."""
    mean_image = evaluation.job.mean_image if variant.preprocessing.mean_image else None
    if evaluation.job.image_order is not None:
        mean_image = None
    digest = None if mean_image is None else evaluation.files[mean_image.name]
    return variant.preprocessing.model_dump_json(), variant.meant_for, digest, evaluation.job.image_order


def _net_key(evaluation: Evaluation, variant: Variant) -> _NetKey:
    """Equal for variants that one loaded net serves; sources of equal content are converted to one file."""
    job = evaluation.job
    return job.net.resolve(), job.scores, variant.precision


def _preprocessor(job: Job, variant: Variant) -> Preprocessor:
    packed, wanted = job.data.flavour, variant.preprocessing.flavour
    if packed not in (None, wanted):
        raise UsageError(
            f"{job.data.source}: packed by {packed}; a run under {wanted} needs the images themselves, "
            f"or dsd-zoo pack --flavour {wanted}"
        )
    if job.image_order is None:
        return preprocessor(variant.preprocessing, job.mean_image, variant.meant_for)
    if packed is not None:
        raise UsageError(
            f"{job.data.source}: packed by {packed}; {job.model} prepares its images itself, and needs the "
            "images themselves"
        )
    return preprocessor(decoding_of(variant.preprocessing), None, variant.meant_for)


def _staging(job: Job, prepare: Preprocessor, device: str, image_order: str | None) -> Staging:
    """On the host, or on the device; packed images are resized already."""
    if image_order is not None:
        return WholeImages(prepare, image_order)
    if job.preprocess_on == "host" and device == "cpu":
        return HostStaging(prepare)
    return DeviceStaging(prepare, device, resize=job.preprocess_on == "device" and job.data.flavour is None)


def _check_labels(job: Job, runtime: Runtime, prepare: Preprocessor) -> None:
    """DataError unless every label is a class of the net. A run on zeros shows how many classes there are."""
    crop = prepare.normalisation.crop
    channels = COLOURS
    if job.image_order is None:
        channels = runtime.input_shape[0] or _channels(job, prepare)
    zeros = np.zeros((runtime.batch or 1, channels, crop, crop), np.float32)
    if job.image_order is not None:
        height, width = (size or 2 * crop for size in runtime.input_shape[:2])
        zeros = np.zeros((runtime.batch or 1, height, width, COLOURS), np.uint8)
    classes = runtime.run(zeros).shape[1]
    names = job.samples.names
    for at, label in enumerate(job.samples.labels):
        if not 0 <= label < classes:
            raise DataError(
                f"{job.data.source}: {excerpt(names[at])} has label {label}, but the net ranks "
                f"{classes} classes (0 to {classes - 1}); labels count from 0"
            )


def _channels(job: Job, prepare: Preprocessor) -> int:
    """The channels of the images; if the flavour does not fix them, those of the first readable image."""
    if not prepare.flavour.has_size:
        for sample in job.samples:
            with contextlib.suppress(DataError):
                return int(prepare(sample.read()).shape[0])
    return COLOURS
