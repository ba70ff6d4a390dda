"""Images ready for a net, decoded ahead by threads in bounded memory and delivered in order."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from zoo.datasets.dataset import Sample
from zoo.environment import processors
from zoo.errors import DataError
from zoo.preprocessing import EncodedImage
from zoo.preprocessing.decode import DecodedImage

Given = TypeVar("Given")
Loaded = TypeVar("Loaded")


@dataclass(frozen=True, slots=True)
class LoadedSample(Generic[Loaded]):
    """One image after preprocessing; `pixels` is None where `problem` says why, or once they are in a batch.

    `sha256` is that of the source's bytes ("" where they could not be read). `rotated`: it carries an EXIF
    orientation, which was ignored.
    """

    item: Sample
    pixels: Loaded | None
    sha256: str = ""
    rotated: bool = False
    problem: DataError | None = None


def prepared(
    items: Iterable[Sample],
    prepare: Callable[[EncodedImage | DecodedImage], Loaded],
    ahead: int,
    workers: int | None = None,
) -> Generator[LoadedSample[Loaded], None, None]:
    """The images of `items` in order, read and preprocessed by `workers` threads (default: one a processor).

    At most `ahead` images exist beside the one that the caller has in hand.
    """
    import cv2

    # These threads are enough; OpenCV's own would take the processors from them.
    cv2.setNumThreads(1)
    yield from in_order(partial(_prepare, prepare), items, workers or processors(), ahead, "decode")


def in_order(
    function: Callable[[Given], Loaded], things: Iterable[Given], threads: int, ahead: int, name: str
) -> Generator[Loaded, None, None]:
    """What `function` makes of each thing, in their order, made by so many threads of that name.

    While the caller has one in hand, at most `ahead` others are under way or wait to be taken. What goes
    wrong with a thing is raised in its place.
    """
    with ThreadPoolExecutor(threads, name) as pool:
        waiting: deque[Future[Loaded]] = deque()
        try:
            for thing in things:
                waiting.append(pool.submit(function, thing))
                if len(waiting) > ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _prepare(prepare: Callable[[EncodedImage | DecodedImage], Loaded], item: Sample) -> LoadedSample[Loaded]:
    digest = ""
    try:
        content = item.read()
        if isinstance(content, DecodedImage):
            digest, rotated = content.sha256, content.rotated
            return LoadedSample(item, prepare(content), digest, rotated)
        digest = hashlib.sha256(content).hexdigest()
        picture = EncodedImage(content)
        return LoadedSample(item, prepare(picture), digest, picture.header.rotated)
    except DataError as error:
        return LoadedSample(item, None, digest, problem=error)
