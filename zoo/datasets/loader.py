"""Images preprocessed ahead by threads, in bounded memory and in order."""

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
    """One image after preprocessing.

    `pixels` is None if the image could not be loaded (`problem` says why), or once they are in a batch.
    `sha256` is that of the source's bytes ("" where they could not be read). `rotated`: the image has an EXIF
    orientation, which was ignored.
    """

    sample: Sample
    pixels: Loaded | None
    sha256: str = ""
    rotated: bool = False
    problem: DataError | None = None


def load_samples(
    samples: Iterable[Sample],
    prepare: Callable[[EncodedImage | DecodedImage], Loaded],
    ahead: int,
    workers: int | None = None,
) -> Generator[LoadedSample[Loaded], None, None]:
    """The samples in order, read and preprocessed by `workers` threads (default: one for each processor).

    At most `ahead` images are in memory beside the one that the caller holds.
    """
    yield from decode_in_order(partial(load_sample, prepare), samples, workers or processors(), ahead)


def decode_in_order(
    function: Callable[[Given], Loaded], arguments: Iterable[Given], threads: int, ahead: int
) -> Generator[Loaded, None, None]:
    """`map_in_order` in threads that decode images."""
    import cv2

    # These threads use all processors; OpenCV's own threads would compete with them.
    cv2.setNumThreads(1)
    yield from map_in_order(function, arguments, threads, ahead, "decode")


def map_in_order(
    function: Callable[[Given], Loaded], arguments: Iterable[Given], threads: int, ahead: int, name: str
) -> Generator[Loaded, None, None]:
    """`function` of each argument in order, computed by `threads` threads called `name`.

    While the caller holds one result, at most `ahead` others are computed or wait. An exception is raised in
    place of the result.
    """
    with ThreadPoolExecutor(threads, name) as pool:
        waiting: deque[Future[Loaded]] = deque()
        try:
            for argument in arguments:
                waiting.append(pool.submit(function, argument))
                if len(waiting) > ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def load_sample(
    prepare: Callable[[EncodedImage | DecodedImage], Loaded], sample: Sample
) -> LoadedSample[Loaded]:
    """A sample read and prepared, or why that is not possible."""
    digest = ""
    try:
        content = sample.read()
        if isinstance(content, DecodedImage):
            digest, rotated = content.sha256, content.rotated
            return LoadedSample(sample, prepare(content), digest, rotated)
        digest = hashlib.sha256(content).hexdigest()
        image = EncodedImage(content)
        return LoadedSample(sample, prepare(image), digest, image.header.rotated)
    except DataError as error:
        return LoadedSample(sample, None, digest, problem=error)
