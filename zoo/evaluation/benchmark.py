"""The speed of an evaluation on this machine, and its bound: decoding, inference, and both together."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice, repeat
from statistics import median
from typing import Any

from zoo.datasets.loader import load_samples, map_in_order
from zoo.environment import environment, processors
from zoo.errors import DataError
from zoo.evaluation.batches import rank_batches, read_batches
from zoo.evaluation.distributed import SingleProcess
from zoo.evaluation.job import Evaluation, Job
from zoo.evaluation.sessions import BatchPlan, Session, choose_batch_size, open_sessions, plan_batches
from zoo.evaluation.variants import Variant

# Batches before timing starts: caches fill, threads start, a GPU raises its clock.
WARM_UP = 2
# The three are timed in turns and the median is taken, as the load of the machine changes.
ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Rates:
    """Images a second.

    decoding: images read, decoded and preprocessed by all threads, without a net.
    inference: the same images ranked repeatedly, with as many concurrent batches as in an evaluation.
    validation: decoding and inference together, as `dsd-zoo validate` runs.
    """

    decoding: float
    inference: float
    validation: float
    batch_size: int
    at_once: int
    """Batches that are ranked at the same time."""
    environment: dict[str, str]
    shared: bool
    """Whether decoding and inference share the processors."""

    @property
    def bound(self) -> float:
        """The highest rate to expect: of the slower part, or of both in turns if they share processors.

        A little more is possible if one of them alone leaves a processor idle.
        """
        if self.shared:
            return 1 / (1 / self.decoding + 1 / self.inference)
        return min(self.decoding, self.inference)

    @property
    def share_of_slower(self) -> float:
        """`validation` divided by the rate of the slower part."""
        return self.validation / min(self.decoding, self.inference)

    @property
    def share_of_bound(self) -> float:
        """`validation` divided by `bound`."""
        return self.validation / self.bound


def benchmark(job: Job, variant: Variant, seconds: float) -> Rates:
    """Measure the three rates, each for about `seconds`.

    Images are read repeatedly if there are too few. Errors as in `zoo.evaluation.evaluate.evaluate`; an image
    that cannot be read is an error unless the job skips such images.
    """
    with _opened(job, variant) as (session, batch_plan):
        rounds = [_round(job, session, batch_plan, seconds / ROUNDS) for _ in range(ROUNDS)]
        decoding, inference, validation = (median(rates) for rates in zip(*rounds, strict=True))
        return Rates(
            decoding=decoding,
            inference=inference,
            validation=validation,
            batch_size=batch_plan.size,
            at_once=batch_plan.concurrent,
            environment={
                **environment(),
                "processors": str(processors()),
                **session.runtime.describe(),
            },
            shared=job.device == "cpu",
        )


def inference_rate(job: Job, variant: Variant, seconds: float) -> float:
    """Images a second that the net of the job ranks, without decoding; measured for about `seconds`.

    Errors as in `benchmark`.
    """
    with _opened(job, variant) as (session, batch_plan):
        return _inference(job, session, batch_plan, seconds)


@contextlib.contextmanager
def _opened(job: Job, variant: Variant) -> Iterator[tuple[Session, BatchPlan]]:
    group, evaluations = SingleProcess(), [Evaluation(job, [variant])]
    with open_sessions(evaluations, group) as sessions:
        size = choose_batch_size(evaluations, sessions, group)
        yield sessions[0], plan_batches(evaluations, sessions, group, size)


def _round(job: Job, session: Session, batch_plan: BatchPlan, seconds: float) -> tuple[float, float, float]:
    decoding = _decoding(job, session, batch_plan, seconds)
    inference = _inference(job, session, batch_plan, seconds)
    # More than fit into that time.
    images = int(2 * seconds * min(decoding, inference)) + batch_plan.size * batch_plan.concurrent * (
        WARM_UP + 2
    )
    return decoding, inference, _validation(job, session, batch_plan, images, seconds)


def _decoding(job: Job, session: Session, batch_plan: BatchPlan, seconds: float) -> float:
    with contextlib.closing(read_batches(job, _repeated(job, session, batch_plan), batch_plan)) as batches:
        return _rate((len(batch.samples) for batch in batches), WARM_UP * batch_plan.concurrent, seconds)


def _inference(job: Job, session: Session, batch_plan: BatchPlan, seconds: float) -> float:
    """The rate at which one batch, staged once, is ranked repeatedly."""
    size = batch_plan.size
    images, labels = [], []
    for image in load_samples(islice(job.samples, size), session.staging.prepare, ahead=size):
        if image.pixels is not None:
            images.append(image.pixels)
            labels.append(image.sample.label)
    if not images:
        raise DataError(f"{job.data.source}: none of the first {size} images can be read")
    images = list(islice(cycle(images), size))
    batch: Any = session.staging.stage(images, session.runtime.batch or size)
    labels = list(islice(cycle(labels), size))

    def rank(_: None) -> int:
        return len(session.runtime.rank(batch, labels).ids)

    ranked = map_in_order(rank, repeat(None), batch_plan.concurrent, batch_plan.concurrent + 1, "rank")
    return _rate(ranked, WARM_UP * batch_plan.concurrent, seconds)


def _validation(job: Job, session: Session, batch_plan: BatchPlan, images: int, seconds: float) -> float:
    """The rate of `rank_batches` over at least `images` images."""
    size = min(batch_plan.size, len(job.samples))
    work = islice(_repeated(job, session, batch_plan), -(-images // size))
    batches = rank_batches(job, work, batch_plan)
    return _rate(
        (len(batch[session.net].rows[0]) for batch in batches), WARM_UP * batch_plan.concurrent, seconds
    )


def _repeated(job: Job, session: Session, batch_plan: BatchPlan) -> Iterator[tuple[int, Sequence[Session]]]:
    """The batches of the job again and again; without the last one if that is smaller than the others."""
    full = max(1, len(job.samples) // batch_plan.size)
    return ((number, [session]) for number in cycle(range(full)))


def _rate(counts: Iterator[int], warm_up: int, seconds: float) -> float:
    """The sum of `counts` per second, after the first `warm_up` counts; at least one count is timed."""
    for _ in islice(counts, warm_up):
        pass
    start, done, passed = time.perf_counter(), 0, 0.0
    for count in counts:
        done += count
        passed = time.perf_counter() - start
        if passed >= seconds:
            break
    return done / passed
