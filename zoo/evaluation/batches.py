"""The images of a run in batches: read and decoded ahead, staged for the net, ranked."""

from __future__ import annotations

import contextlib
import itertools
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from typing import Any

from zoo.datasets import Sample
from zoo.datasets.loader import LoadedSample, load_samples
from zoo.errors import DataError, excerpt
from zoo.evaluation.job import Job
from zoo.evaluation.sessions import BatchPlan, Session
from zoo.evidence.journal import Batch
from zoo.evidence.run import Row
from zoo.preprocessing import EncodedImage
from zoo.preprocessing.decode import DecodedImage
from zoo.preprocessing.flavour import Pixels
from zoo.runtimes import Ranking
from zoo.runtimes.staging import Staging

# One image, preprocessed once for each staging.
Loaded = tuple[Pixels, ...]


def samples_of_batch(samples: Sequence[Sample], size: int, number: int) -> Sequence[Sample]:
    """The images of batch `number`; only their position in the dataset decides which they are."""
    return samples[number * size : (number + 1) * size]


def rank_batches(
    job: Job, sessions: Sequence[Session], batch_plan: BatchPlan, numbers: Sequence[int]
) -> Iterator[Batch]:
    """The batches with these numbers, in order, each ranked in every session.

    With n batches ranked at the same time, memory holds the decoded images of at most 2 n batches and at most
    n + 2 staged batches.

    Raises:
        DataError: an image cannot be read (unless the job skips those), or scores are not numbers.
    """
    with (
        contextlib.closing(_staged(job, sessions, batch_plan, numbers)) as staged,
        contextlib.closing(_ranked(sessions, staged, batch_plan.concurrent)) as ranked,
    ):
        for batch in ranked:
            if batch.images:
                rows = tuple(_rows(job, batch, ranking) for ranking in batch.rankings)
            else:
                rows = ((),) * len(sessions)
            yield Batch(batch.number, rows, tuple(batch.unreadable), batch.rotated)


@dataclass(slots=True)
class _PendingBatch:
    """A batch in progress: its images are read, then staged for each preprocessing, then ranked per session.

    `staged` and `rankings` are filled in that order; staging removes the pixels from `images`.
    """

    number: int
    images: list[LoadedSample[Loaded]] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    rotated: int = 0
    staged: list[Any] = field(default_factory=list)
    rankings: list[Ranking] = field(default_factory=list)


def _ranked(
    sessions: Sequence[Session], staged: Iterator[_PendingBatch], concurrent: int
) -> Generator[_PendingBatch, None, None]:
    """The batches in order, `concurrent` of them ranked at the same time while a thread stages the next.

    One more batch is kept ready, so that no net waits while rows are written to disk. An error is raised when
    the turn of its batch comes, after all batches before it.
    """
    with ThreadPoolExecutor(1, "stage") as stage, ThreadPoolExecutor(concurrent, "rank") as nets:
        ranking: deque[Future[_PendingBatch]] = deque()
        coming: Future[_PendingBatch | None] | None = stage.submit(next, staged, None)
        problem: BaseException | None = None
        try:
            while coming is not None or ranking:
                awaited: list[Future[Any]] = [ranking[0]] if ranking else []
                if coming is not None and len(ranking) <= concurrent:
                    awaited.append(coming)
                wait(awaited, return_when=FIRST_COMPLETED)
                if ranking and ranking[0].done():
                    yield ranking.popleft().result()
                elif coming is not None:
                    problem = coming.exception()
                    batch = coming.result() if problem is None else None
                    coming = None
                    if batch is not None:
                        ranking.append(nets.submit(_rank, sessions, batch))
                        coming = stage.submit(next, staged, None)
        finally:
            for future in ranking:
                future.cancel()
        if problem is not None:
            raise problem


def _rank(sessions: Sequence[Session], batch: _PendingBatch) -> _PendingBatch:
    if batch.images:
        labels = [image.sample.label for image in batch.images]
        batch.rankings = [
            session.runtime.rank(batch.staged[session.staging_index], labels) for session in sessions
        ]
        batch.staged.clear()
    return batch


def _staged(
    job: Job, sessions: Sequence[Session], batch_plan: BatchPlan, numbers: Sequence[int]
) -> Generator[_PendingBatch, None, None]:
    """The batches, staged: ready for the net."""
    stagings = dict(sorted((session.staging_index, session.staging) for session in sessions))
    fixed = sessions[0].runtime.batch

    def prepare(content: EncodedImage | DecodedImage) -> Loaded:
        return tuple(staging.prepare(content) for staging in stagings.values())

    with contextlib.closing(_read(job, prepare, batch_plan, numbers)) as pending:
        for batch in pending:
            _stage(batch, stagings, fixed)
            yield batch


def _stage(batch: _PendingBatch, stagings: Mapping[int, Staging], count: int | None) -> None:
    """Stage the images for each preprocessing, padded to `count` images if it is given."""
    made = [image.pixels for image in batch.images if image.pixels is not None]
    if made:
        for at, staging in stagings.items():
            batch.staged.append(staging.stage([pixels[at] for pixels in made], count or len(made)))
    batch.images = [replace(image, pixels=None) for image in batch.images]


def _read(
    job: Job,
    prepare: Callable[[EncodedImage | DecodedImage], Loaded],
    batch_plan: BatchPlan,
    numbers: Sequence[int],
) -> Generator[_PendingBatch, None, None]:
    """The batches with their images decoded and preprocessed."""
    chosen = [samples_of_batch(job.samples, batch_plan.size, number) for number in numbers]
    images = load_samples(
        itertools.chain.from_iterable(chosen),
        prepare,
        2 * batch_plan.size * batch_plan.concurrent,
        batch_plan.decoders,
    )
    with contextlib.closing(images):
        for number, samples in zip(numbers, chosen, strict=True):
            batch = _PendingBatch(number)
            for image in itertools.islice(images, len(samples)):
                _add_image(job, batch, image)
            yield batch


def _add_image(job: Job, batch: _PendingBatch, image: LoadedSample[Loaded]) -> None:
    batch.rotated += image.rotated
    if image.pixels is not None:
        batch.images.append(image)
    elif job.skip_unreadable:
        batch.unreadable.append(image.sample.id)
    else:
        raise DataError(
            f"{job.data.source}: {excerpt(image.sample.id)}: {image.problem}\n"
            "  --skip-unreadable leaves such images out and lists them in the result"
        ) from image.problem


def _rows(job: Job, batch: _PendingBatch, ranking: Ranking) -> tuple[Row, ...]:
    rows = []
    for at, image in enumerate(batch.images):
        sample = image.sample
        if not ranking.finite[at]:
            raise DataError(
                f"{job.data.source}: {excerpt(sample.id)}: the net's scores are not numbers (NaN)"
            )
        top5, scores = tuple(ranking.ids[at].tolist()), tuple(ranking.scores[at].tolist())
        rows.append(Row(sample.id, sample.label, top5, scores, int(ranking.ranks[at]), image.sha256))
    return tuple(rows)
