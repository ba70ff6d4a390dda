"""Images ready for a net, decoded ahead by threads in bounded memory and delivered in order."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

from zoo.datasets import Item, Stored
from zoo.errors import DataError
from zoo.preprocessing import Picture

Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class Prepared(Generic[Made]):
    """One image after preprocessing; `pixels` is None where `problem` says why.

    `sha256` is that of the source's bytes ("" where they could not be read). `rotated`: it carries an EXIF
    orientation, which was ignored.
    """

    item: Item
    pixels: Made | None
    sha256: str = ""
    rotated: bool = False
    problem: DataError | None = None


def prepared(
    items: Iterable[Item],
    prepare: Callable[[Picture | Stored], Made],
    ahead: int,
    workers: int | None = None,
) -> Generator[Prepared[Made], None, None]:
    """The images of `items` in order, read and preprocessed by `workers` threads (default: one a processor).

    At most `ahead` images exist at any time that the caller has not taken yet.
    """
    import cv2

    # These threads are enough; OpenCV's own would take the processors from them.
    cv2.setNumThreads(1)
    with ThreadPoolExecutor(workers or processors(), "decode") as pool:
        waiting: deque[Future[Prepared[Made]]] = deque()
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


def _prepare(item: Item, prepare: Callable[[Picture | Stored], Made]) -> Prepared[Made]:
    digest = ""
    try:
        content = item.read()
        if isinstance(content, Stored):
            digest, rotated = content.sha256, content.rotated
            return Prepared(item, prepare(content), digest, rotated)
        digest = hashlib.sha256(content).hexdigest()
        picture = Picture(content)
        return Prepared(item, prepare(picture), digest, picture.header.rotated)
    except DataError as error:
        return Prepared(item, None, digest, problem=error)
