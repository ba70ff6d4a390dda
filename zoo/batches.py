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
from zoo.lanes import Lane
from zoo.pipeline import Prepared, prepared
from zoo.preprocessing import Picture
from zoo.preprocessing.flavour import Pixels

# Every image once for each way of preparing it.
Made = tuple[Pixels, ...]


def batch_items(items: Sequence[Item], size: int, number: int) -> Sequence[Item]:
    """The images of a batch: their place in the dataset alone decides."""
    return items[number * size : (number + 1) * size]


def rank_batches(
    job: Job, lanes: Sequence[Lane], size: int, numbers: Sequence[int], workers: int
) -> Iterator[Batch]:
    """The batches of these numbers, each ranked in every lane, in order.

    size: images in a batch. workers: threads that decode.

    Raises:
        DataError: an image cannot be read (unless the job skips those), or scores are not numbers.
    """
    for work in _staged(job, lanes, size, numbers, workers):
        rows = tuple(_rank(job, lane, work) if work.images else () for lane in lanes)
        work.staged.clear()
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
    job: Job, lanes: Sequence[Lane], size: int, numbers: Sequence[int], workers: int
) -> Iterator[_Work]:
    """Batches ready for the net. While it works on one, a thread collects the next and copies it."""
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

    works = _read(job, prepare, size, numbers, workers)
    with contextlib.closing(works), ThreadPoolExecutor(1, "stage") as thread:
        ahead = thread.submit(staged)
        while (work := ahead.result()) is not None:
            ahead = thread.submit(staged)
            yield work


def _read(
    job: Job, prepare: Callable[[Picture | Stored], Made], size: int, numbers: Sequence[int], workers: int
) -> Generator[_Work, None, None]:
    """Batches decoded ahead: two of them at most wait in memory."""
    chosen = [batch_items(job.items, size, number) for number in numbers]
    images = prepared(itertools.chain.from_iterable(chosen), prepare, ahead=2 * size, workers=workers)
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


def _rank(job: Job, lane: Lane, work: _Work) -> tuple[Row, ...]:
    items = [image.item for image, _ in work.images]
    ranking = lane.session.rank(work.staged[lane.prepare], [item.label for item in items])
    rows = []
    for at, (image, _) in enumerate(work.images):
        item = image.item
        if not ranking.finite[at]:
            raise DataError(f"{job.data.source}: {item.id}: the net's scores are not numbers (NaN)")
        top5, scores = tuple(ranking.ids[at].tolist()), tuple(ranking.scores[at].tolist())
        rows.append(Row(item.id, item.label, top5, scores, int(ranking.ranks[at]), image.sha256))
    return tuple(rows)
