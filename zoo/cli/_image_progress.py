"""A progress bar on stderr for commands that process images."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import ProgressColumn

# In characters: "50000/50000 images 0:00:00" with spaces and a short bar; the shortest name.
NUMBERS_WIDTH, LEAST_NAME_WIDTH = 34, 6


@contextmanager
def progress_bar(name: str) -> Iterator[Callable[[int, int], None] | None]:
    """A function to call with (images done, images in all); None if stderr is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(*_columns(console.width), console=console, transient=True) as bars:
        task = bars.add_task(name, total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)


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
