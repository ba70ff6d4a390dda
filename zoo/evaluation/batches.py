"""The images of a run in batches: read and decoded ahead, staged for the net, ranked.

A source reads its images in one of two ways. Most images are files, each read and decoded alone: Python's own
work on an image is little beside that. A packed file holds pixels side by side, and there that work would be
most of it, more than a GPU can wait for: a batch is read, checked and prepared as a whole. If a part of it
cannot be used, its images are read one by one, too, which says what is wrong with which.
"""

from __future__ import annotations

import contextlib
import itertools
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from zoo.datasets import Sample, Samples
from zoo.datasets.loader import LoadedSample, decode_in_order, load_sample
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
# The number of a batch and the sessions that rank it. The sessions of a net stand together.
Work = Iterable[tuple[int, Sequence[Session]]]
# A staging, the positions of its images in the batch, and the number of images that they are padded to.
_StagedKey = tuple[int, tuple[int, ...], int]


def samples_of_batch(samples: Samples, size: int, number: int) -> Samples:
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


def read_batches(job: Job, work: Work, batch_plan: BatchPlan) -> Generator[PendingBatch, None, None]:
    """The batches of `work` with their images read and prepared for each session, but not staged.

    Raises:
        DataError: an image cannot be read, unless the job skips those.
    """
    if job.samples.is_read_together:
        read = partial(_read_together, job, batch_plan.size)
        ahead = 2 * batch_plan.concurrent
        yield from decode_in_order(read, work, batch_plan.decoders, ahead)
    else:
        yield from _read_one_by_one(job, work, batch_plan)


@dataclass(slots=True)
class PendingBatch:
    """A batch in progress: its images are read, then staged for each preprocessing, then ranked per session.

    The images are in `loaded`, each alone, or in `together`, all of them prepared for a session. Staging
    moves them to `staged`; `rankings` come last.

    usable: for each net, the positions of the images that all its variants can use.
    unreadable: for each net, the names of the other images.
    """

    number: int
    sessions: Sequence[Session]
    samples: Samples
    sha256: list[str]
    rotated: list[bool]
    loaded: list[Loaded | None] = field(default_factory=list)
    together: dict[_StagedKey, Pixels] = field(default_factory=dict)
    usable: dict[int, Sequence[int]] = field(default_factory=dict)
    unreadable: dict[int, list[str]] = field(default_factory=dict)
    staged: dict[_StagedKey, Any] = field(default_factory=dict)
    rankings: list[Ranking | None] = field(default_factory=list)

    def staged_key(self, session: Session) -> _StagedKey:
        """What the session ranks. Nets that can use different images of a batch do not share it."""
        usable = tuple(self.usable[session.net])
        return session.staging_index, usable, session.runtime.batch or len(usable)


def _finished(job: Job, batch: PendingBatch, net: int) -> Batch:
    usable = batch.usable[net]
    rows = [
        _rows(job, session, batch, ranking) if ranking is not None else ()
        for session, ranking in zip(batch.sessions, batch.rankings, strict=True)
        if session.net == net
    ]
    rotated = sum(batch.rotated[at] for at in usable)
    return Batch(batch.number, rows, tuple(batch.unreadable.get(net, ())), rotated)


def _rows(job: Job, session: Session, batch: PendingBatch, ranking: Ranking) -> Rows:
    usable = batch.usable[session.net]
    names, labels, digests = batch.samples.names, batch.samples.labels, batch.sha256
    if not ranking.finite.all():
        name = names[usable[int(ranking.finite.argmin())]]
        raise DataError(
            f"{job.data.source}: {excerpt(name)}: {session.net_name}'s scores are not numbers (NaN)"
        )
    if len(usable) < len(names):
        names, labels = [names[at] for at in usable], [labels[at] for at in usable]
        digests = [digests[at] for at in usable]
    return Rows.from_columns(names, labels, ranking.ids, ranking.scores, ranking.ranks, digests)


def _ranked(staged: Iterator[PendingBatch], concurrent: int) -> Generator[PendingBatch, None, None]:
    """The batches in order, `concurrent` of them ranked at the same time while a thread stages the next.

    One more batch is kept ready, so that no net waits while rows are written to disk. An error is raised when
    the turn of its batch comes, after all batches before it.
    """
    with ThreadPoolExecutor(1, "stage") as stage, ThreadPoolExecutor(concurrent, "rank") as nets:
        ranking: deque[Future[PendingBatch]] = deque()
        coming: Future[PendingBatch | None] | None = stage.submit(next, staged, None)
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


def _rank(batch: PendingBatch) -> PendingBatch:
    # A net that a pass has twice, under two names, is computed once.
    ranked: dict[tuple[int, _StagedKey], Ranking] = {}
    for session in batch.sessions:
        staged_key = batch.staged_key(session)
        key = (id(session.runtime), staged_key)
        if staged_key in batch.staged and key not in ranked:
            labels = batch.samples.labels
            own = [labels[at] for at in batch.usable[session.net]]
            ranked[key] = session.runtime.rank(batch.staged[staged_key], own)
        batch.rankings.append(ranked.get(key))
    batch.staged.clear()
    return batch


def _staged(job: Job, work: Work, batch_plan: BatchPlan) -> Generator[PendingBatch, None, None]:
    """The batches, staged: ready for the nets."""
    with contextlib.closing(read_batches(job, work, batch_plan)) as pending:
        for batch in pending:
            _stage(batch)
            yield batch


def _stage(batch: PendingBatch) -> None:
    """Stage the images for each preprocessing, padded for nets that take one batch size only."""
    for session in batch.sessions:
        key = batch.staged_key(session)
        at, usable, count = key
        if not usable or key in batch.staged:
            continue
        if key in batch.together:
            batch.staged[key] = session.staging.stage_together(batch.together.pop(key))
        else:
            loaded = [batch.loaded[position] for position in usable]
            pixels = [image[at] for image in loaded if image is not None]
            made = [image for image in pixels if not isinstance(image, DataError)]
            batch.staged[key] = session.staging.stage(made, count)
    batch.loaded.clear()


def _read_together(job: Job, size: int, work: tuple[int, Sequence[Session]]) -> PendingBatch:
    """A batch read as a whole; or one by one, if that is not possible."""
    number, sessions = work
    samples = samples_of_batch(job.samples, size, number)
    batch = PendingBatch(number, sessions, samples, [], [])
    batch.usable = {session.net: range(len(samples)) for session in sessions}
    with contextlib.suppress(DataError):
        if _fill_together(batch):
            return batch
    prepare = partial(_prepared, _stagings(sessions))
    return _of_loaded(job, number, sessions, samples, [load_sample(prepare, sample) for sample in samples])


def _fill_together(batch: PendingBatch) -> bool:
    """Read and prepare the images, as many at a time as the source reads; whether that is possible.

    Each part is checked and prepared while it is in the processor's cache. DataError where an image cannot be
    used.
    """
    left, place = batch.samples, 0
    stagings = {batch.staged_key(session): session.staging for session in batch.sessions}
    while left:
        images = left.read_together()
        if images is None:
            return False
        end = place + len(images.pixels)
        for key, staging in stagings.items():
            if key not in batch.together:
                batch.together[key] = staging.room(images, len(batch.samples), key[2])
            staging.prepare_together(images, batch.together[key][place:end])
        batch.sha256 += images.sha256
        batch.rotated += images.rotated
        left, place = left[len(images.pixels) :], end
    return True


def _read_one_by_one(job: Job, work: Work, batch_plan: BatchPlan) -> Generator[PendingBatch, None, None]:
    """The batches, each image of which is read alone."""
    work, ahead = itertools.tee(work)

    def load(item: tuple[Sample, Mapping[int, Staging]]) -> LoadedSample[Loaded]:
        sample, stagings = item
        return load_sample(partial(_prepared, stagings), sample)

    images = decode_in_order(
        load,
        (
            (sample, stagings)
            for number, sessions in ahead
            for stagings in (_stagings(sessions),)
            for sample in samples_of_batch(job.samples, batch_plan.size, number)
        ),
        batch_plan.decoders,
        2 * batch_plan.size * batch_plan.concurrent,
    )
    with contextlib.closing(images):
        for number, sessions in work:
            samples = samples_of_batch(job.samples, batch_plan.size, number)
            loaded = list(itertools.islice(images, len(samples)))
            yield _of_loaded(job, number, sessions, samples, loaded)


def _stagings(sessions: Sequence[Session]) -> dict[int, Staging]:
    return {session.staging_index: session.staging for session in sessions}


def _prepared(stagings: Mapping[int, Staging], content: EncodedImage | DecodedImage) -> Loaded:
    """An image prepared for each of the stagings, or why that is not possible."""

    def prepared(staging: Staging) -> Pixels | DataError:
        try:
            return staging.prepare(content)
        except DataError as error:
            return error

    return {at: prepared(staging) for at, staging in stagings.items()}


def _of_loaded(
    job: Job,
    number: int,
    sessions: Sequence[Session],
    samples: Samples,
    images: Sequence[LoadedSample[Loaded]],
) -> PendingBatch:
    """The batch of images that were read one by one.

    Finds out which images each net can use. DataError if it is not all, unless the job skips the others.
    """
    batch = PendingBatch(
        number,
        sessions,
        samples,
        [image.sha256 for image in images],
        [image.rotated for image in images],
        [image.pixels for image in images],
    )
    places: dict[int, list[int]] = {}
    for session in sessions:
        places.setdefault(session.net, []).append(session.staging_index)
    usable: dict[int, list[int]] = {net: [] for net in places}
    for position, image in enumerate(images):
        for net, of_net in places.items():
            problem = _problem(image, of_net)
            if problem is None:
                usable[net].append(position)
            elif job.skip_unreadable:
                batch.unreadable.setdefault(net, []).append(image.sample.id)
            else:
                raise DataError(
                    f"{job.data.source}: {excerpt(image.sample.id)}: {problem}\n"
                    "  --skip-unreadable leaves such images out and lists them in the result"
                ) from problem
    batch.usable.update(usable)
    return batch


def _problem(image: LoadedSample[Loaded], places: Sequence[int]) -> DataError | None:
    """Why an image cannot be used for these stagings; None if it can."""
    if image.pixels is None:
        return image.problem
    return next((made for at in places if isinstance(made := image.pixels[at], DataError)), None)
