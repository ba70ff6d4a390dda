"""The images of a run, batch by batch: read and decoded ahead, staged, ranked."""

from __future__ import annotations

import contextlib
import itertools
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from typing import Any

from zoo.datasets import Sample
from zoo.datasets.loader import LoadedSample, prepared
from zoo.errors import DataError
from zoo.evaluation.job import Job
from zoo.evaluation.sessions import Batching, Session
from zoo.evidence.journal import Batch
from zoo.evidence.run import Row
from zoo.preprocessing import EncodedImage
from zoo.preprocessing.decode import DecodedImage
from zoo.preprocessing.flavour import Pixels
from zoo.runtimes import Ranking
from zoo.runtimes.staging import Staging

# Every image once for each way of preparing it.
Loaded = tuple[Pixels, ...]


def batch_items(items: Sequence[Sample], size: int, number: int) -> Sequence[Sample]:
    """The images of a batch: their place in the dataset alone decides."""
    return items[number * size : (number + 1) * size]


def rank_batches(
    job: Job, sessions: Sequence[Session], batching: Batching, numbers: Sequence[int]
) -> Iterator[Batch]:
    """The batches of these numbers, each ranked in every session, in order.

    In memory are at most the decoded images of twice as many batches as are ranked at once, and two batches
    more than those ready for the net.

    Raises:
        DataError: an image cannot be read (unless the job skips those), or scores are not numbers.
    """
    with (
        contextlib.closing(_staged(job, sessions, batching, numbers)) as staged,
        contextlib.closing(_ranked(sessions, staged, batching.at_once)) as ranked,
    ):
        for work in ranked:
            if work.images:
                rows = tuple(_rows(job, work, ranking) for ranking in work.rankings)
            else:
                rows = ((),) * len(sessions)
            yield Batch(work.number, rows, tuple(work.unreadable), work.rotated)


@dataclass(slots=True)
class _Work:
    """The images of one batch on their way: read, staged for each way of preparing them, ranked in each
    session.

    Once they are staged, the images themselves have no pixels any more.
    """

    number: int
    images: list[LoadedSample[Loaded]] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    rotated: int = 0
    staged: list[Any] = field(default_factory=list)
    rankings: list[Ranking] = field(default_factory=list)


def _ranked(
    sessions: Sequence[Session], staged: Iterator[_Work], at_once: int
) -> Generator[_Work, None, None]:
    """The batches, so many ranked side by side, in order; a thread stages the next.

    One more waits for a net, so that none stands still while rows are written down. What goes wrong is raised
    in the place of its batch.
    """
    with ThreadPoolExecutor(1, "stage") as stage, ThreadPoolExecutor(at_once, "rank") as nets:
        ranking: deque[Future[_Work]] = deque()
        coming: Future[_Work | None] | None = stage.submit(next, staged, None)
        problem: BaseException | None = None
        try:
            while coming is not None or ranking:
                awaited: list[Future[Any]] = [ranking[0]] if ranking else []
                if coming is not None and len(ranking) <= at_once:
                    awaited.append(coming)
                wait(awaited, return_when=FIRST_COMPLETED)
                if ranking and ranking[0].done():
                    yield ranking.popleft().result()
                elif coming is not None:
                    problem = coming.exception()
                    work = coming.result() if problem is None else None
                    coming = None
                    if work is not None:
                        ranking.append(nets.submit(_rank, sessions, work))
                        coming = stage.submit(next, staged, None)
        finally:
            for future in ranking:
                future.cancel()
        if problem is not None:
            raise problem


def _rank(sessions: Sequence[Session], work: _Work) -> _Work:
    if work.images:
        labels = [image.item.label for image in work.images]
        work.rankings = [session.runtime.rank(work.staged[session.prepare], labels) for session in sessions]
        work.staged.clear()
    return work


def _staged(
    job: Job, sessions: Sequence[Session], batching: Batching, numbers: Sequence[int]
) -> Generator[_Work, None, None]:
    """Batches ready for the net."""
    stagings = dict(sorted((session.prepare, session.staging) for session in sessions))
    fixed = sessions[0].runtime.batch

    def prepare(content: EncodedImage | DecodedImage) -> Loaded:
        return tuple(staging.prepare(content) for staging in stagings.values())

    with contextlib.closing(_read(job, prepare, batching, numbers)) as works:
        for work in works:
            _stage(work, stagings, fixed)
            yield work


def _stage(work: _Work, stagings: Mapping[int, Staging], count: int | None) -> None:
    """Batches of `count`, or of as many images as there are."""
    made = [image.pixels for image in work.images if image.pixels is not None]
    if made:
        for at, staging in stagings.items():
            work.staged.append(staging.stage([pixels[at] for pixels in made], count or len(made)))
    work.images = [replace(image, pixels=None) for image in work.images]


def _read(
    job: Job,
    prepare: Callable[[EncodedImage | DecodedImage], Loaded],
    batching: Batching,
    numbers: Sequence[int],
) -> Generator[_Work, None, None]:
    """Batches of decoded images."""
    chosen = [batch_items(job.items, batching.size, number) for number in numbers]
    images = prepared(
        itertools.chain.from_iterable(chosen),
        prepare,
        2 * batching.size * batching.at_once,
        batching.decoders,
    )
    with contextlib.closing(images):
        for number, items in zip(numbers, chosen, strict=True):
            work = _Work(number)
            for image in itertools.islice(images, len(items)):
                _take(job, work, image)
            yield work


def _take(job: Job, work: _Work, image: LoadedSample[Loaded]) -> None:
    work.rotated += image.rotated
    if image.pixels is not None:
        work.images.append(image)
    elif job.skip_unreadable:
        work.unreadable.append(image.item.id)
    else:
        raise DataError(
            f"{job.data.source}: {image.item.id}: {image.problem}\n"
            "  --skip-unreadable leaves such images out and lists them in the result"
        ) from image.problem


def _rows(job: Job, work: _Work, ranking: Ranking) -> tuple[Row, ...]:
    rows = []
    for at, image in enumerate(work.images):
        item = image.item
        if not ranking.finite[at]:
            raise DataError(f"{job.data.source}: {item.id}: the net's scores are not numbers (NaN)")
        top5, scores = tuple(ranking.ids[at].tolist()), tuple(ranking.scores[at].tolist())
        rows.append(Row(item.id, item.label, top5, scores, int(ranking.ranks[at]), image.sha256))
    return tuple(rows)
