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

_Jobs = queue.SimpleQueue[tuple["ModelFile", "Future[Fetched | ZooError]"]]

MAX_THREADS = 4
# The main thread wakes up this often, so that Ctrl-C works on every system.
POLL_SECONDS = 0.5
# How long to wait for cancelled threads. Partial downloads can be resumed in any case.
JOIN_SECONDS = 2.0


def fetch_all(
    files: Sequence[ModelFile],
    cache: Cache,
    network: Network,
    progress_of: Callable[[ModelFile], DownloadProgress] | None = None,
) -> Iterator[Fetched | ZooError]:
    """Download all files, at most MAX_THREADS at a time, and yield the result of each in the given order.

    UsageError before the first download if the disk has no room for all files whose size is known.
    """
    missing = [file for file in files if cache.find(file) is None]
    cache.require_space(
        sum(file.entry.bytes or 0 for file in missing),
        f"{len(missing)} files, as far as their sizes are known",
    )
    stop = threading.Event()
    jobs: _Jobs = queue.SimpleQueue()
    futures: list[Future[Fetched | ZooError]] = [Future() for _ in files]
    for job in zip(files, futures, strict=True):
        jobs.put(job)

    def fetch(file: ModelFile) -> Fetched:
        progress = DownloadProgress() if progress_of is None else progress_of(file)
        return fetch_file(file, cache, network, _CancellableProgress(progress, stop))

    # Daemons: a thread that waits for a silent server must not keep the process alive.
    threads = [
        threading.Thread(target=_work, args=(jobs, fetch, stop), daemon=True)
        for _ in range(min(MAX_THREADS, len(files)))
    ]
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


def _work(jobs: _Jobs, fetch: Callable[[ModelFile], Fetched], stop: threading.Event) -> None:
    """Do jobs until none is left, or `stop` is set."""
    while not stop.is_set():
        try:
            file, future = jobs.get_nowait()
        except queue.Empty:
            return
        try:
            future.set_result(fetch(file))
        except ZooError as error:
            future.set_result(error)
        except BaseException as error:  # `future.result()` raises it again
            future.set_exception(error)


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
