"""Several files at a time."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from typing import TYPE_CHECKING

from zoo.download.fetch import Fetched, fetch_file
from zoo.download.progress import DownloadProgress
from zoo.download.sources import Network
from zoo.errors import ZooError

if TYPE_CHECKING:
    from zoo.catalog.manifest import ModelFile
    from zoo.store.cache import Cache

MAX_THREADS = 4
# How often a waiting main thread looks up, so that Ctrl-C is heard on every system.
POLL_SECONDS = 0.5
# How long threads that were told to stop are waited for; what they leave behind is resumed in any case.
JOIN_SECONDS = 2.0


def fetch_all(
    wanted: Sequence[ModelFile],
    cache: Cache,
    network: Network,
    progress_of: Callable[[ModelFile], DownloadProgress] | None = None,
) -> Iterator[Fetched | ZooError]:
    """Fetches all files, some at a time, and yields what came of each, in the order in which they are given.

    UsageError before anything is fetched if the disk has no room for all of them, as far as sizes are known.
    """
    missing = [file for file in wanted if cache.find(file) is None]
    cache.require_space(
        sum(file.entry.bytes or 0 for file in missing),
        f"{len(missing)} files, as far as their sizes are known",
    )
    stop = threading.Event()
    futures: list[Future[Fetched | ZooError]] = [Future() for _ in wanted]
    jobs: queue.SimpleQueue[int] = queue.SimpleQueue()
    for number in range(len(wanted)):
        jobs.put(number)

    def work() -> None:
        while not stop.is_set():
            try:
                number = jobs.get_nowait()
            except queue.Empty:
                return
            file = wanted[number]
            progress = DownloadProgress() if progress_of is None else progress_of(file)
            try:
                fetched = fetch_file(file, cache, network, _CancellableProgress(progress, stop))
                futures[number].set_result(fetched)
            except ZooError as error:
                futures[number].set_result(error)
            except BaseException as error:  # raised again where the result is taken
                futures[number].set_exception(error)

    # Daemons: one that hangs in a silent connection must not keep the process from ending.
    threads = [threading.Thread(target=work, daemon=True) for _ in range(min(MAX_THREADS, len(wanted)))]
    for thread in threads:
        thread.start()
    try:
        for future in futures:
            while not future.done():
                wait([future], POLL_SECONDS)
            yield future.result()
    finally:
        stop.set()
        for thread in threads:
            thread.join(JOIN_SECONDS)


class _Cancelled(Exception):
    """Nobody waits for this file any more."""


class _CancellableProgress(DownloadProgress):
    """Passes on to another progress, until it is told to stop."""

    def __init__(self, inner: DownloadProgress, stop: threading.Event) -> None:
        self._inner = inner
        self._stop = stop

    def update(self, done: int, total: int | None) -> None:
        self._go_on()
        self._inner.update(done, total)

    def note(self, text: str) -> None:
        self._go_on()
        self._inner.note(text)

    def sleep(self, seconds: float) -> None:
        self._stop.wait(seconds)
        self._go_on()

    def _go_on(self) -> None:
        if self._stop.is_set():
            raise _Cancelled
