"""How a fetch says what it is doing, and hears that it shall stop."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from filelock import BaseFileLock

LOCK_POLL_SECONDS = 0.5


class DownloadProgress:
    """Follows one file; this one is silent and lets it run. Any method may raise to stop the fetch."""

    def update(self, done: int, total: int | None) -> None:
        """So many bytes are here, of so many in all; None where nobody knows."""

    def note(self, text: str) -> None:
        """What is going on while no bytes come."""

    def sleep(self, seconds: float) -> None:
        """Waits."""
        time.sleep(seconds)


@contextmanager
def hold_lock(lock: BaseFileLock, progress: DownloadProgress) -> Iterator[None]:
    """Holds `lock`; says so while another process has it."""
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
