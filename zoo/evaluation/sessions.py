"""Nets and preprocessing made ready: whatever does not fit together shows before an image is read."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from zoo.environment import processors
from zoo.errors import DataError, UsageError
from zoo.evaluation.distributed import Group
from zoo.evaluation.job import Job
from zoo.evaluation.variants import Variant
from zoo.preprocessing import Preprocessor, preprocessor, resolve
from zoo.runtimes import Runtime, open_runtime
from zoo.runtimes.memory import batch_size, free_memory, images_that_fit
from zoo.runtimes.runtime import parse_device
from zoo.runtimes.staging import DeviceStaging, HostStaging, Staging
from zoo.vocabulary import Precision

# Channels of an image file, as all flavours decode it.
COLOURS = 3


@dataclass(frozen=True, slots=True)
class Session:
    """A variant at work. Sessions whose images are prepared alike have the same number `prepare`."""

    prepare: int
    staging: Staging
    runtime: Runtime


@dataclass(frozen=True, slots=True)
class Batching:
    """How images go through the nets: `size` in a batch, `at_once` batches side by side.

    `decoders` threads read and decode images ahead of them.
    """

    size: int
    at_once: int
    decoders: int


@contextlib.contextmanager
def open_sessions(job: Job, variants: Sequence[Variant], group: Group) -> Iterator[list[Session]]:
    """A session for each variant; nets that several share are loaded once.

    Raises:
        UsageError: net, preprocessing and options do not fit together.
        DataError: a label is no class of the net.
        DeviceError: the device or the precision is not available.
    """
    device = own_device(job.device, group)
    threads = own_processors(group) if group.size > 1 else None
    prepares = {_key(variant): _preprocessor(job, variant) for variant in variants}
    runtimes: dict[Precision, Runtime] = {}
    with contextlib.ExitStack() as stack:
        for variant in variants:
            if variant.precision not in runtimes:
                runtime = open_runtime(
                    job.runtime,
                    job.net,
                    device,
                    scores=job.scores,
                    threads=threads,
                    precision=variant.precision,
                )
                runtimes[variant.precision] = stack.enter_context(contextlib.closing(runtime))
            _check_input(job, runtimes[variant.precision], variant)
        _check_labels(job, runtimes[variants[0].precision], prepares[_key(variants[0])])
        stagings = {key: _staging(job, prepare, device) for key, prepare in prepares.items()}
        places = list(stagings)
        yield [
            Session(places.index(_key(variant)), stagings[_key(variant)], runtimes[variant.precision])
            for variant in variants
        ]


def own_device(device: str, group: Group) -> str:
    """`cuda` among several processes means one GPU for each. UsageError where they would share one."""
    if ":" in device and group.local_size > 1:
        raise UsageError(
            f"{group.local_size} processes cannot share {device}: give --device cuda, a GPU each"
        )
    return f"cuda:{group.local_rank}" if device == "cuda" and group.size > 1 else device


def own_processors(group: Group) -> int:
    """The share of this machine's processors that one of its processes takes."""
    return max(1, processors() // group.local_size)


def choose_batch_size(
    job: Job, sessions: Sequence[Session], variants: Sequence[Variant], group: Group
) -> int:
    """Images per inference: as asked for, as the net wants it, or what is useful and fits into memory."""
    wanted, fixed = job.batch_size, sessions[0].runtime.batch
    if wanted is not None and wanted < 1:
        raise UsageError(f"the batch size must be 1 or more, not {wanted}")
    if fixed is not None and wanted not in (None, fixed):
        raise UsageError(f"{job.net}: it takes batches of {fixed} only, not of {wanted}")
    if wanted is not None or fixed is not None:
        return wanted or fixed or 1
    kind, _ = parse_device(own_device(job.device, group))
    at_once = _at_once(sessions)
    fits = max(1, _images_that_fit(job, variants, group) // at_once)
    return batch_size(kind, fits, max(1, own_processors(group) // at_once))


def plan_batches(
    job: Job, sessions: Sequence[Session], variants: Sequence[Variant], group: Group, size: int
) -> Batching:
    """Batches of that size: so many side by side as the runtime wants, if they fit into memory."""
    fits = max(1, _images_that_fit(job, variants, group) // size)
    return Batching(size, min(_at_once(sessions), fits), own_processors(group))


def _at_once(sessions: Sequence[Session]) -> int:
    return min(session.runtime.at_once for session in sessions)


def _images_that_fit(job: Job, variants: Sequence[Variant], group: Group) -> int:
    """Images that this process's nets may compute at once."""
    kind, index = parse_device(own_device(job.device, group))
    numbers = COLOURS * max(variant.preprocessing.crop for variant in variants) ** 2
    sharing = group.local_size if kind == "cpu" else 1
    return images_that_fit(numbers, free_memory(kind, index) // sharing)


def _key(variant: Variant) -> tuple[str, str | None]:
    return variant.preprocessing.model_dump_json(), variant.meant_for


def _preprocessor(job: Job, variant: Variant) -> Preprocessor:
    packed, wanted = job.data.flavour, variant.preprocessing.flavour
    if packed not in (None, wanted):
        raise UsageError(
            f"{job.data.source}: packed by {packed}; a run under {wanted} needs the images themselves, "
            f"or dsd-zoo pack --flavour {wanted}"
        )
    return preprocessor(variant.preprocessing, job.mean_image, variant.meant_for)


def _staging(job: Job, prepare: Preprocessor, device: str) -> Staging:
    """Packed images are resized already, so there is nothing to resize on the device."""
    if job.preprocess_on == "host" and device == "cpu":
        return HostStaging(prepare)
    return DeviceStaging(prepare, device, resize=job.preprocess_on == "device" and job.data.flavour is None)


def _check_input(job: Job, runtime: Runtime, variant: Variant) -> None:
    taken, crop = runtime.input_shape, variant.preprocessing.crop
    # DecodedImage pixels may have any number of channels; which, shows with the first image.
    channels = COLOURS if resolve(variant.preprocessing.flavour).has_size else None
    made = (channels, crop, crop)
    if len(taken) == 3 and all(
        wants in (None, gets) or gets is None for wants, gets in zip(taken, made, strict=True)
    ):
        return
    advice = "give the right --crop"
    if len(taken) != 3:
        advice = "it ranks no images"
    elif channels is not None and taken[0] not in (None, channels):
        advice = f"images come in {channels} channels, and only --flavour caffe-stored has others"
    raise UsageError(f"{job.net}: it takes {_words(taken)}, the preprocessing makes {_words(made)}: {advice}")


def _words(shape: Sequence[int | None]) -> str:
    return " x ".join(str(size or "any") for size in shape)


def _check_labels(job: Job, runtime: Runtime, prepare: Preprocessor) -> None:
    """Every label is a class of the net. How many it has shows a run on zeros, which also warms it up."""
    crop, channels = prepare.numbers.crop, runtime.input_shape[0] or _channels(job, prepare)
    classes = runtime.run(np.zeros((runtime.batch or 1, channels, crop, crop), np.float32)).shape[1]
    for item in job.items:
        if item.label >= classes:
            raise DataError(
                f"{job.data.source}: {item.id} has label {item.label}, but the net ranks {classes} classes "
                f"(0 to {classes - 1}); labels count from 0"
            )


def _channels(job: Job, prepare: Preprocessor) -> int:
    """How many channels images come in: of stored ones, any number, which the first readable one tells."""
    if not prepare.flavour.has_size:
        for item in job.items:
            with contextlib.suppress(DataError):
                return int(prepare(item.read()).shape[0])
    return COLOURS
