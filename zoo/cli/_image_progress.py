"""Progress on stderr, as a bar on a terminal and as lines elsewhere, for commands that process images."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import ProgressColumn

# Until the first line of progress in a log, and between two.
FIRST_LINE_SECONDS, LINE_SECONDS = 30, 60
# In characters: "50000/50000 images 0:00:00" with spaces and a short bar; the shortest name.
NUMBERS_WIDTH, LEAST_NAME_WIDTH = 34, 6


@contextmanager
def progress_bar(name: str) -> Iterator[Callable[[int, int], None] | None]:
    """A function to call with (images done, images in all).

    Where stderr is no terminal it prints a line now and then, and none in a short run.
    """
    if not sys.stderr.isatty():
        yield ProgressLines(name)
        return
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(*_columns(console.width), console=console, transient=True) as bars:
        task = bars.add_task(name, total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)


class ProgressLines:
    """Lines of progress for logs: after half a minute the first, then one a minute."""

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._name, self._clock = name, clock
        self._start = clock()
        self._next = self._start + FIRST_LINE_SECONDS

    def __call__(self, done: int, total: int) -> None:
        """Print how far it is, the images a second and the time left, if a line is due."""
        now = self._clock()
        if now < self._next or not 0 < done < total:
            return
        self._next = now + LINE_SECONDS
        rate = done / (now - self._start)
        left = timedelta(seconds=round((total - done) / rate))
        print(
            f"{self._name}: {done:,} of {total:,} images, {rate:,.1f} images/s, {left} left",
            file=sys.stderr,
            flush=True,
        )


def _columns(width: int) -> list[ProgressColumn]:
    """The columns for `width` characters: numbers in full, the name cut, the bar fills the rest."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.table import Column

    name = Column(no_wrap=True, overflow="ellipsis", max_width=max(LEAST_NAME_WIDTH, width - NUMBERS_WIDTH))
    return [
        TextColumn("{task.description}", table_column=name),
        BarColumn(),
        MofNCompleteColumn(table_column=Column(no_wrap=True)),
        TextColumn("images", table_column=Column(no_wrap=True)),
        TimeRemainingColumn(table_column=Column(no_wrap=True)),
    ]
