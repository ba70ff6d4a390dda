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
from zoo.evidence.rows import Rows
from zoo.preprocessing import EncodedImage
from zoo.preprocessing.decode import DecodedImage
from zoo.preprocessing.flavour import Pixels
from zoo.runtimes import Ranking
from zoo.runtimes.staging import Staging

# One image, preprocessed once for each staging, by its index; or why that is not possible.
Loaded = dict[int, Pixels | DataError]
# The sessions that rank a batch, by its number. The sessions of a net stand together.
Work = Mapping[int, Sequence[Session]]
# A staging, the positions of its images in the batch, and the number of images that they are padded to.
_StagedKey = tuple[int, tuple[int, ...], int]


def samples_of_batch(samples: Sequence[Sample], size: int, number: int) -> Sequence[Sample]:
    """The images of batch `number`; only their position in the dataset decides which they are."""
    return samples[number * size : (number + 1) * size]


def rank_batches(job: Job, work: Work, batch_plan: BatchPlan) -> Iterator[dict[int, Batch]]:
    """The batches of `work` in its order, ranked in their sessions: a `Batch` for each net, by its index.

    Each image is read once, and prepared once for each different preprocessing. Which images are unreadable
    is a matter of each net, as its flavours decide what they take.

    job: that of any net; its images and whether to skip unreadable ones are those of all.

    With n batches ranked at the same time, memory holds the decoded images of at most 2 n batches and at most
    n + 2 staged batches.

    Raises:
        DataError: an image cannot be read (unless the job skips those), or scores are not numbers.
    """
    with (
        contextlib.closing(_staged(job, work, batch_plan)) as staged,
        contextlib.closing(_ranked(staged, batch_plan.concurrent)) as ranked,
    ):
        for batch in ranked:
            yield {net: _finished(job, batch, net) for net in batch.usable}


def _finished(job: Job, batch: _PendingBatch, net: int) -> Batch:
    images = [batch.images[at] for at in batch.usable[net]]
    rows = tuple(
        _rows(job, session, images, ranking) if ranking is not None else ()
        for session, ranking in zip(batch.sessions, batch.rankings, strict=True)
        if session.net == net
    )
    rotated = sum(image.rotated for image in images)
    return Batch(batch.number, rows, tuple(batch.unreadable.get(net, ())), rotated)


@dataclass(slots=True)
class _PendingBatch:
    """A batch in progress: its images are read, then staged for each preprocessing, then ranked per session.

    `staged` and `rankings` are filled in that order; staging removes the pixels from `images`.

    usable: for each net, the positions of the images that all its variants can use.
    unreadable: for each net, the names of the other images.
    """

    number: int
    sessions: Sequence[Session]
    images: list[LoadedSample[Loaded]]
    usable: dict[int, list[int]] = field(default_factory=dict)
    unreadable: dict[int, list[str]] = field(default_factory=dict)
    staged: dict[_StagedKey, Any] = field(default_factory=dict)
    rankings: list[Ranking | None] = field(default_factory=list)

    def staged_key(self, session: Session) -> _StagedKey:
        """What the session ranks. Nets that can use different images of a batch do not share it."""
        usable = tuple(self.usable[session.net])
        return session.staging_index, usable, session.runtime.batch or len(usable)


def _ranked(staged: Iterator[_PendingBatch], concurrent: int) -> Generator[_PendingBatch, None, None]:
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
                        ranking.append(nets.submit(_rank, batch))
                        coming = stage.submit(next, staged, None)
        finally:
            for future in ranking:
                future.cancel()
        if problem is not None:
            raise problem


def _rank(batch: _PendingBatch) -> _PendingBatch:
    # A net that a pass has twice, under two names, is computed once.
    ranked: dict[tuple[int, _StagedKey], Ranking] = {}
    for session in batch.sessions:
        staged_key = batch.staged_key(session)
        key = (id(session.runtime), staged_key)
        if staged_key in batch.staged and key not in ranked:
            labels = [batch.images[at].sample.label for at in batch.usable[session.net]]
            ranked[key] = session.runtime.rank(batch.staged[staged_key], labels)
        batch.rankings.append(ranked.get(key))
    batch.staged.clear()
    return batch


def _staged(job: Job, work: Work, batch_plan: BatchPlan) -> Generator[_PendingBatch, None, None]:
    """The batches, staged: ready for the nets."""
    with contextlib.closing(_read(job, work, batch_plan)) as pending:
        for batch in pending:
            _stage(batch)
            yield batch


def _stage(batch: _PendingBatch) -> None:
    """Stage the images for each preprocessing, padded for nets that take one batch size only."""
    for session in batch.sessions:
        key = batch.staged_key(session)
        at, usable, count = key
        if usable and key not in batch.staged:
            loaded = [batch.images[position].pixels for position in usable]
            pixels = [image[at] for image in loaded if image is not None]
            made = [image for image in pixels if not isinstance(image, DataError)]
            batch.staged[key] = session.staging.stage(made, count)
    batch.images = [replace(image, pixels=None) for image in batch.images]


def _read(job: Job, work: Work, batch_plan: BatchPlan) -> Generator[_PendingBatch, None, None]:
    """The batches with their images decoded and preprocessed."""
    chosen = [samples_of_batch(job.samples, batch_plan.size, number) for number in work]
    images = load_samples(
        itertools.chain.from_iterable(chosen),
        _prepare_for(work),
        2 * batch_plan.size * batch_plan.concurrent,
        batch_plan.decoders,
    )
    with contextlib.closing(images):
        for (number, sessions), samples in zip(work.items(), chosen, strict=True):
            batch = _PendingBatch(number, sessions, list(itertools.islice(images, len(samples))))
            _sort_out(job, batch)
            yield batch


def _prepare_for(work: Work) -> Callable[[EncodedImage | DecodedImage], Loaded]:
    """A function that prepares an image for each staging that a session of `work` uses."""
    stagings = {s.staging_index: s.staging for sessions in work.values() for s in sessions}

    def prepared(staging: Staging, content: EncodedImage | DecodedImage) -> Pixels | DataError:
        try:
            return staging.prepare(content)
        except DataError as error:
            return error

    return lambda content: {at: prepared(staging, content) for at, staging in stagings.items()}


def _sort_out(job: Job, batch: _PendingBatch) -> None:
    """Find out which images each net can use. DataError if it is not all, unless the job skips the others."""
    stagings: dict[int, list[int]] = {}
    for session in batch.sessions:
        stagings.setdefault(session.net, []).append(session.staging_index)
    batch.usable = {net: [] for net in stagings}
    for position, image in enumerate(batch.images):
        for net, places in stagings.items():
            problem = _problem(image, places)
            if problem is None:
                batch.usable[net].append(position)
            elif job.skip_unreadable:
                batch.unreadable.setdefault(net, []).append(image.sample.id)
            else:
                raise DataError(
                    f"{job.data.source}: {excerpt(image.sample.id)}: {problem}\n"
                    "  --skip-unreadable leaves such images out and lists them in the result"
                ) from problem


def _problem(image: LoadedSample[Loaded], places: Sequence[int]) -> DataError | None:
    """Why an image cannot be used for these stagings; None if it can."""
    if image.pixels is None:
        return image.problem
    return next((made for at in places if isinstance(made := image.pixels[at], DataError)), None)


def _rows(job: Job, session: Session, images: Sequence[LoadedSample[Loaded]], ranking: Ranking) -> Rows:
    if not ranking.finite.all():
        sample = images[int(ranking.finite.argmin())].sample
        raise DataError(
            f"{job.data.source}: {excerpt(sample.id)}: {session.net_name}'s scores are not numbers (NaN)"
        )
    return Rows.from_columns(
        [image.sample.id for image in images],
        [image.sample.label for image in images],
        ranking.ids,
        ranking.scores,
        ranking.ranks,
        [image.sha256 for image in images],
    )
