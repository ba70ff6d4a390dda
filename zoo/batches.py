"""The images of a run, batch by batch: read and decoded ahead, staged, ranked."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from zoo.datasets import Item, Stored
from zoo.errors import DataError
from zoo.evidence import Row
from zoo.job import Job
from zoo.journal import Batch
from zoo.lanes import Batching, Lane
from zoo.pipeline import Prepared, in_order, prepared
from zoo.preprocessing import Picture
from zoo.preprocessing.flavour import Pixels
from zoo.runtimes import Ranking

# Every image once for each way of preparing it.
Made = tuple[Pixels, ...]


def batch_items(items: Sequence[Item], size: int, number: int) -> Sequence[Item]:
    """The images of a batch: their place in the dataset alone decides."""
    return items[number * size : (number + 1) * size]


def rank_batches(
    job: Job, lanes: Sequence[Lane], batching: Batching, numbers: Sequence[int]
) -> Iterator[Batch]:
    """The batches of these numbers, each ranked in every lane, in order.

    Raises:
        DataError: an image cannot be read (unless the job skips those), or scores are not numbers.
    """

    def rank(work: _Work) -> tuple[_Work, list[Ranking]]:
        # None where none of the batch's images can be read.
        labels = [image.item.label for image, _ in work.images]
        rankings = [lane.session.rank(work.staged[lane.prepare], labels) for lane in lanes if labels]
        work.staged.clear()
        return work, rankings

    staged = _staged(job, lanes, batching, numbers)
    # One more than are ranked, so that no net waits until rows are written down.
    ranked = in_order(rank, staged, batching.at_once, batching.at_once + 1, "rank")
    with contextlib.closing(staged), contextlib.closing(ranked):
        for work, rankings in ranked:
            rows = tuple(_rows(job, work, ranking) for ranking in rankings) or ((),) * len(lanes)
            yield Batch(work.number, rows, tuple(work.unreadable), work.rotated)


@dataclass(slots=True)
class _Work:
    """The images of one batch on their way: read, then staged for every way of preparing them."""

    number: int
    images: list[tuple[Prepared[Made], Made]] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    rotated: int = 0
    staged: list[Any] = field(default_factory=list)


def _staged(
    job: Job, lanes: Sequence[Lane], batching: Batching, numbers: Sequence[int]
) -> Generator[_Work, None, None]:
    """Batches ready for the net. While it works on some, a thread collects the next and copies it."""
    stagings = dict(sorted((lane.prepare, lane.staging) for lane in lanes))
    fixed = lanes[0].session.batch

    def prepare(content: Picture | Stored) -> Made:
        return tuple(staging.prepare(content) for staging in stagings.values())

    def staged() -> _Work | None:
        work = next(works, None)
        if work is not None and work.images:
            count = fixed or len(work.images)
            for at, staging in stagings.items():
                work.staged.append(staging.stage([made[at] for _, made in work.images], count))
        return work

    works = _read(job, prepare, batching, numbers)
    with contextlib.closing(works), ThreadPoolExecutor(1, "stage") as thread:
        next_work = thread.submit(staged)
        while (work := next_work.result()) is not None:
            next_work = thread.submit(staged)
            yield work


def _read(
    job: Job, prepare: Callable[[Picture | Stored], Made], batching: Batching, numbers: Sequence[int]
) -> Generator[_Work, None, None]:
    """Batches decoded ahead: two at most, for each that is ranked, wait in memory."""
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


def _take(job: Job, work: _Work, image: Prepared[Made]) -> None:
    work.rotated += image.rotated
    if image.pixels is not None:
        work.images.append((image, image.pixels))
    elif job.skip_unreadable:
        work.unreadable.append(image.item.id)
    else:
        raise DataError(
            f"{job.data.source}: {image.item.id}: {image.problem}\n"
            "  --skip-unreadable leaves such images out and lists them in the result"
        ) from image.problem


def _rows(job: Job, work: _Work, ranking: Ranking) -> tuple[Row, ...]:
    rows = []
    for at, (image, _) in enumerate(work.images):
        item = image.item
        if not ranking.finite[at]:
            raise DataError(f"{job.data.source}: {item.id}: the net's scores are not numbers (NaN)")
        top5, scores = tuple(ranking.ids[at].tolist()), tuple(ranking.scores[at].tolist())
        rows.append(Row(item.id, item.label, top5, scores, int(ranking.ranks[at]), image.sha256))
    return tuple(rows)
