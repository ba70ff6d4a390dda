"""Tables that fit the terminal: columns are left out, the least important first, until the rest fits."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

GAP = "  "
# A text that would be shorter than this says nothing.
SHORTEST_TEXT = 24
ELLIPSIS = "..."


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    rank: 0 is always shown; of the others, the highest ranks are left out first.
    is_text: takes what the others leave, and is cut there.
    """

    header: str
    rank: int = 0
    is_right: bool = False
    is_text: bool = False


def terminal_width() -> int:
    """Columns of the terminal, or what COLUMNS says; 80 where there is neither."""
    return max(1, shutil.get_terminal_size((80, 24)).columns)


def wrap(text: str, width: int, indent: str = "") -> str:
    """`text` in lines of up to `width` characters; a longer word stays whole."""
    return textwrap.fill(
        text,
        max(width, len(indent) + 1),
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def table_lines(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int) -> list[str]:
    """The header and one line per row, all of up to `width` characters if the columns of rank 0 are.

    Columns without any content are left out.
    """
    lines = [[column.header for column in columns], *rows]
    content = [max(len(line[at]) for line in lines) for at in range(len(columns))]
    least = [
        min(SHORTEST_TEXT, size) if column.is_text else size
        for column, size in zip(columns, content, strict=True)
    ]
    shown = [at for at, column in enumerate(columns) if column.rank == 0 or any(row[at] for row in rows)]
    while _width(least, shown) > width:
        dropped = max(shown, key=lambda at: (columns[at].rank, at))
        if columns[dropped].rank == 0:
            break
        shown.remove(dropped)
    rest = max(0, width - _width(least, shown))
    sizes = [size + rest if column.is_text else size for column, size in zip(columns, least, strict=True)]
    return [GAP.join(_cell(columns[at], line[at], sizes[at]) for at in shown).rstrip() for line in lines]


def _width(sizes: Sequence[int], shown: Sequence[int]) -> int:
    return sum(sizes[at] for at in shown) + len(GAP) * (len(shown) - 1)


def _cell(column: Column, text: str, size: int) -> str:
    if column.is_text:
        return text if len(text) <= size else text[: size - len(ELLIPSIS)].rstrip() + ELLIPSIS
    return text.rjust(size) if column.is_right else text.ljust(size)
