"""How fast is a validation here, and what bounds it? Decoding, inference, and both together."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import cycle, islice, repeat
from statistics import median

from zoo.datasets.loader import in_order, prepared
from zoo.environment import environment, processors
from zoo.errors import DataError
from zoo.evaluation.batches import rank_batches
from zoo.evaluation.distributed import SingleProcess
from zoo.evaluation.job import Job
from zoo.evaluation.sessions import Batching, Session, choose_batch_size, open_sessions, plan_batches
from zoo.evaluation.variants import Variant

# Batches before the clock starts: caches fill, threads start, a GPU raises its clock.
WARM_UP = 2
# In turns, and the median of them: what else the machine does comes and goes.
ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Rates:
    """Images a second.

    decoding: read, decoded and preprocessed by all threads, without a net.
    inference: the same images ranked again and again, as many batches at once as in a validation.
    validation: both at once, as `validate` does it.
    """

    decoding: float
    inference: float
    validation: float
    batch_size: int
    at_once: int
    """Batches that are ranked side by side."""
    environment: dict[str, str]
    shared: bool
    """Whether decoding and inference share the processors."""

    @property
    def bound(self) -> float:
        """What can be hoped for: the rate of the slower part, or of both in turns if they share processors.

        In turns a little more is possible where one of them alone leaves a processor idle.
        """
        if self.shared:
            return 1 / (1 / self.decoding + 1 / self.inference)
        return min(self.decoding, self.inference)

    @property
    def share_of_slower(self) -> float:
        """Validation rate by the rate of the slower part."""
        return self.validation / min(self.decoding, self.inference)

    @property
    def share_of_bound(self) -> float:
        """Validation rate by `bound`."""
        return self.validation / self.bound


def bench(job: Job, variant: Variant, seconds: float) -> Rates:
    """Measure the three rates, each for about so many seconds.

    Images are read again and again if there are too few. Errors as in `measure`; an image
    that cannot be read is always one, unless the job skips those.
    """
    group = SingleProcess()
    with open_sessions(job, [variant], group) as sessions:
        size = choose_batch_size(job, sessions, [variant], group)
        batching = plan_batches(job, sessions, [variant], group, size)
        rounds = [_round(job, sessions[0], batching, seconds / ROUNDS) for _ in range(ROUNDS)]
        decoding, inference, validation = (median(rates) for rates in zip(*rounds, strict=True))
        return Rates(
            decoding=decoding,
            inference=inference,
            validation=validation,
            batch_size=size,
            at_once=batching.at_once,
            environment={
                **environment(),
                "processors": str(processors()),
                **sessions[0].runtime.describe(),
            },
            shared=job.device == "cpu",
        )


def _round(job: Job, session: Session, batching: Batching, seconds: float) -> tuple[float, float, float]:
    decoding = _decoding(job, session, batching, seconds)
    inference = _inference(job, session, batching, seconds)
    # More than can be done in that time.
    images = int(2 * seconds * min(decoding, inference)) + batching.size * batching.at_once * (WARM_UP + 2)
    return decoding, inference, _validation(job, session, batching, images, seconds)


def _decoding(job: Job, session: Session, batching: Batching, seconds: float) -> float:
    at_a_time = batching.size * batching.at_once

    def counted() -> Iterator[int]:
        for image in prepared(cycle(job.items), session.staging.prepare, ahead=2 * at_a_time):
            if image.problem is not None and not job.skip_unreadable:
                raise DataError(f"{job.data.source}: {image.item.id}: {image.problem}") from image.problem
            yield 1

    return _rate(counted(), WARM_UP * at_a_time, seconds)


def _inference(job: Job, session: Session, batching: Batching, seconds: float) -> float:
    """The same images every time, staged once."""
    size = batching.size
    images, labels = [], []
    for image in prepared(islice(job.items, size), session.staging.prepare, ahead=size):
        if image.pixels is not None:
            images.append(image.pixels)
            labels.append(image.item.label)
    if not images:
        raise DataError(f"{job.data.source}: none of the first {size} images can be read")
    images = list(islice(cycle(images), size))
    batch = session.staging.stage(images, session.runtime.batch or size)
    labels = list(islice(cycle(labels), size))

    def rank(_: None) -> int:
        return len(session.runtime.rank(batch, labels).ids)

    ranked = in_order(rank, repeat(None), batching.at_once, batching.at_once + 1, "rank")
    return _rate(ranked, WARM_UP * batching.at_once, seconds)


def _validation(job: Job, session: Session, batching: Batching, images: int, seconds: float) -> float:
    """As `validate` does it, over so many images."""
    items = tuple(islice(cycle(job.items), images))
    laid_out = replace(job, data=replace(job.data, items=items), limit=None)
    batches = rank_batches(laid_out, [session], batching, range(-(-images // batching.size)))
    return _rate((len(batch.rows[0]) for batch in batches), WARM_UP * batching.at_once, seconds)


def _rate(counts: Iterator[int], warm_up: int, seconds: float) -> float:
    """How many a second, after the first `warm_up` counts, for at least one."""
    for _ in islice(counts, warm_up):
        pass
    start, done, passed = time.perf_counter(), 0, 0.0
    for count in counts:
        done += count
        passed = time.perf_counter() - start
        if passed >= seconds:
            break
    return done / passed
