"""How a download reports its progress, and can be cancelled."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from zoo.locks import Held, Holder, hold

LOCK_POLL_SECONDS = 0.1


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
def hold_lock(path: Path, progress: DownloadProgress) -> Iterator[None]:
    """Hold the lock file `path`; `progress` is told who has it while another process does."""
    told: Holder | None = None
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(hold(path))
                break
            except Held as error:
                if told is None or told != error.holder:
                    progress.note(f"{error.holder or 'another process'} is fetching it; waiting")
                told = error.holder
            progress.sleep(LOCK_POLL_SECONDS)
        yield
