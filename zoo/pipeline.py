"""Images ready for a net, decoded ahead by threads in bounded memory and delivered in order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zoo.datasets import Item
from zoo.errors import DataError
from zoo.preprocessing.decode import image_header

Pixels = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Prepared:
    """One image after preprocessing; `pixels` (channels, height, width) is None where `problem` says why.

    `rotated`: it carries an EXIF orientation, which was ignored.
    """

    item: Item
    pixels: Pixels | None
    rotated: bool = False
    problem: DataError | None = None


def prepared(
    items: Iterable[Item], prepare: Callable[[bytes], Pixels], ahead: int, workers: int | None = None
) -> Iterator[Prepared]:
    """The images of `items` in order, read and preprocessed by `workers` threads (default: one a processor).

    At most `ahead` images exist at any time that the caller has not taken yet.
    """
    with ThreadPoolExecutor(workers or processors(), "decode") as pool:
        waiting: deque[Future[Prepared]] = deque()
        try:
            for item in items:
                if len(waiting) == ahead:
                    yield waiting.popleft().result()
                waiting.append(pool.submit(_prepare, item, prepare))
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _prepare(item: Item, prepare: Callable[[bytes], Pixels]) -> Prepared:
    try:
        data = item.read()
        return Prepared(item, prepare(data), image_header(data).rotated)
    except DataError as error:
        return Prepared(item, None, problem=error)
