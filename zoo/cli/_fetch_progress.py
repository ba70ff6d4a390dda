"""Progress bars of a fetch, on stderr: one for each file being fetched, and one for all files."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from zoo.download import DownloadProgress

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn, TaskID

    from zoo.catalog.manifest import ModelFile

# In characters: the terminal width from which a bar is shown, the length of the bar, the width of everything
# except the name with and without a bar.
WIDE, BAR_WIDTH = 80, 20
NUMBERS_WIDTH, NARROW_NUMBERS_WIDTH = 58, 25
LEAST_NAME_WIDTH = 10

ProgressOf = Callable[["ModelFile"], DownloadProgress]


@contextmanager
def progress_bars() -> Iterator[ProgressOf | None]:
    """A function that makes the progress of a file; None if stderr is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(
        *_columns(console.width),
        console=console,
        transient=True,
        # Lines printed meanwhile appear above the bars, unless stdout goes to a file.
        redirect_stdout=sys.stdout.isatty(),
    ) as bars:
        yield _Bars(bars).progress


def _columns(width: int) -> list[ProgressColumn]:
    """The columns that fit into `width` characters: numbers in full, names cut, a bar if there is room."""
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )
    from rich.table import Column

    def whole() -> Column:
        return Column(no_wrap=True)

    wide = width >= WIDE
    taken = NUMBERS_WIDTH if wide else NARROW_NUMBERS_WIDTH
    name = Column(no_wrap=True, overflow="ellipsis", max_width=max(LEAST_NAME_WIDTH, width - taken))
    return [
        TextColumn("{task.description}", table_column=name),
        *([BarColumn(BAR_WIDTH, table_column=whole())] if wide else []),
        DownloadColumn(table_column=whole()),
        *([TransferSpeedColumn(table_column=whole())] if wide else []),
        TimeRemainingColumn(table_column=whole()),
        TextColumn("{task.fields[note]}"),
    ]


class _Bars:
    """The bars of all files; the methods may be called from any thread."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._all = bars.add_task("all files", total=None, note="")
        self._state: dict[TaskID, tuple[int, int | None]] = {}
        self._lock = threading.Lock()

    def progress(self, file: ModelFile) -> DownloadProgress:
        return _Bar(self, str(file), file.entry.bytes)

    def add(self, name: str, total: int | None) -> TaskID:
        return self._bars.add_task(name, total=total, note="")

    def update(self, task: TaskID, done: int, total: int | None, note: str) -> None:
        self._bars.update(task, completed=done, total=total, note=note)
        with self._lock:
            self._state[task] = (done, total)
            known = [total for _, total in self._state.values() if total is not None]
            self._bars.update(
                self._all,
                completed=sum(done for done, _ in self._state.values()),
                total=sum(known) if len(known) == len(self._state) else None,
            )


class _Bar(DownloadProgress):
    """The bar of one file; it appears with the first progress."""

    def __init__(self, bars: _Bars, name: str, total: int | None) -> None:
        self._bars = bars
        self._name = name
        self._done, self._total = 0, total
        self._task: TaskID | None = None

    def update(self, done: int, total: int | None) -> None:
        self._done, self._total = done, total
        self._show("")

    def note(self, text: str) -> None:
        self._show(text)

    def _show(self, note: str) -> None:
        if self._task is None:
            self._task = self._bars.add(self._name, self._total)
        self._bars.update(self._task, self._done, self._total, note)
