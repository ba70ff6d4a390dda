"""Downloads several files at a time."""

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
# The main thread wakes up this often, so that Ctrl-C works on every system.
POLL_SECONDS = 0.5
# How long to wait for cancelled threads. Partial downloads can be resumed in any case.
JOIN_SECONDS = 2.0


def fetch_all(
    wanted: Sequence[ModelFile],
    cache: Cache,
    network: Network,
    progress_of: Callable[[ModelFile], DownloadProgress] | None = None,
) -> Iterator[Fetched | ZooError]:
    """Download all files, at most MAX_THREADS at a time, and yield the result of each in the given order.

    UsageError before the first download if the disk has no room for all files whose size is known.
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
            except BaseException as error:  # `future.result()` raises it again
                futures[number].set_exception(error)

    # Daemons: a thread that waits for a silent server must not keep the process alive.
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
    """The caller of `fetch_all` no longer waits for this file."""


class _CancellableProgress(DownloadProgress):
    """Forwards to another progress; raises once `stop` is set."""

    def __init__(self, inner: DownloadProgress, stop: threading.Event) -> None:
        self._inner = inner
        self._stop = stop

    def update(self, done: int, total: int | None) -> None:
        self._raise_if_stopped()
        self._inner.update(done, total)

    def note(self, text: str) -> None:
        self._raise_if_stopped()
        self._inner.note(text)

    def sleep(self, seconds: float) -> None:
        self._stop.wait(seconds)
        self._raise_if_stopped()

    def _raise_if_stopped(self) -> None:
        if self._stop.is_set():
            raise _Cancelled
