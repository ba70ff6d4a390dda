"""How a download reports its progress, and can be cancelled."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from filelock import BaseFileLock

LOCK_POLL_SECONDS = 0.5


class DownloadProgress:
    """Receives the progress of one file, and ignores it. Any method may raise to cancel the download."""

    def update(self, done: int, total: int | None) -> None:
        """`done` bytes of `total` have arrived; None if the total is unknown."""

    def note(self, text: str) -> None:
        """What the download waits for, while no bytes arrive."""

    def sleep(self, seconds: float) -> None:
        """Wait before the next attempt."""
        time.sleep(seconds)


@contextmanager
def hold_lock(lock: BaseFileLock, progress: DownloadProgress) -> Iterator[None]:
    """Hold `lock`; `progress` is notified if another process has it."""
    from filelock import Timeout

    try:
        lock.acquire(timeout=0)
    except Timeout:
        progress.note("another process is fetching it; waiting")
        while not lock.is_locked:
            progress.sleep(0)
            try:
                lock.acquire(timeout=LOCK_POLL_SECONDS)
            except Timeout:
                continue
    try:
        yield
    finally:
        lock.release()
