"""Tables that keep all they say in any width: cells are wrapped, or each row becomes a block of fields."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import zip_longest

from zoo.cli._colour import coloured
from zoo.cli._columns import GAP, wrap

# Columns of text are not made narrower than this, unless their content is.
NARROWEST_TEXT = 12
# A command that is wrapped could not be copied.
_COMMAND = re.compile(r"\s*(dsd-zoo|hf|pip|python\d?|torchrun) ")


class Verbatim(str):
    """A text of one line, such as code, that is never wrapped."""


def table_lines(
    header: Sequence[str],
    rows: Sequence[Sequence[str] | str],
    width: int,
    *,
    right: Sequence[int] = (),
    merged: int = 0,
) -> list[str]:
    """The lines of a table of up to `width` characters, unless a word or a number is longer than that.

    Where the table is wider, its header is wrapped, then the cells of columns that are aligned left. Where
    that does not do, what rows have in common is said above them, or each row becomes a block of fields.

    rows: cells, or a text over the rows that follow.
    right: columns that are aligned right; their cells are never wrapped.
    merged: in so many first columns a cell is left blank where it repeats the one above.
    """
    cells = [row for row in rows if not isinstance(row, str)]
    sizes = _sizes(header, cells, width, right)
    if sizes is None and merged:
        named, texts = _named_above(header, rows)
        below = [at - 1 for at in right]
        if _sizes(named, [row for row in texts if not isinstance(row, str)], width, below) is not None:
            return table_lines(named, texts, width, right=below, merged=merged - 1)
    lines = [] if sizes is None else _cell_lines(header, sizes, right, at_bottom=True)
    above: Sequence[str] = ()
    for row in rows:
        if isinstance(row, str):
            lines += wrapped(row, width)
            above = ()
            continue
        shown = _without_repeats(row, above[:merged])
        lines += _block(header, shown, width) if sizes is None else _cell_lines(shown, sizes, right)
        above = row
    return lines


def field_lines(fields: Sequence[tuple[str, str]], width: int, indent: int = 2) -> list[str]:
    """Lines `name  value`; further lines of a value stand under its first.

    Where the names leave too little of `width` for the values, each value stands below its name.
    """
    longest = max(len(name) for name, _ in fields)
    at = indent + longest + len(GAP)
    if width - at < NARROWEST_TEXT and any(len(value) > width - at for _, value in fields):
        at = indent + len(GAP)
        names = [(f"{'':{indent}}{name}", value) for name, value in fields]
        return [line for name, value in names for line in (name, *_value_lines(value, width, at))]
    lines = []
    for name, value in fields:
        first, *more = _value_lines(value, width, at)
        lines += [f"{'':{indent}}{name:{longest}}{GAP}{first[at:]}".rstrip(), *more]
    return lines


def wrapped(text: str, width: int, indent: str = "") -> list[str]:
    """One line in lines of up to `width` characters, the further ones as far to the right as the first.

    indent: further blanks before the further ones. Longer words and commands stay whole.
    """
    if len(text) <= width or isinstance(text, Verbatim) or _COMMAND.match(text):
        return [text]
    words = text.lstrip()
    start = " " * (len(text) - len(words))
    lines: list[str] = []
    for line in wrap(words, width - len(start), indent).split("\n"):
        # A word that no line is wide enough for, such as a URL, stays with what is said of it.
        if lines and len(start) + len(line) > width:
            lines[-1] += f" {line.strip()}"
        else:
            lines.append(start + line)
    return lines


def _value_lines(value: str, width: int, at: int) -> list[str]:
    texts = [value] if isinstance(value, Verbatim) else value.split("\n")
    parts = [part for text in texts for part in wrapped(text, width - at)]
    return [f"{'':{at}}{coloured(part, like=value)}" for part in parts]


def _sizes(
    header: Sequence[str], cells: Sequence[Sequence[str]], width: int, right: Sequence[int]
) -> list[int] | None:
    """The width of each column; None if the table cannot be as narrow as `width`."""
    columns = range(len(header))
    names = [_longest_word(name) for name in header]
    content = [max((len(row[at]) for row in cells), default=0) for at in columns]
    # How narrow each column gets with a wrapped header, and with wrapped text.
    narrow = [max(pair) for pair in zip(names, content, strict=True)]
    narrowest = [
        narrow[at]
        if at in right
        else max(names[at], min(content[at], NARROWEST_TEXT), *(_longest_word(row[at]) for row in cells), 0)
        for at in columns
    ]
    sizes = [max(len(name), size) for name, size in zip(header, content, strict=True)]
    available = width - len(GAP) * (len(header) - 1)
    for least in (narrow, narrowest):
        while sum(sizes) > available:
            wide = [at for at in columns if sizes[at] > least[at]]
            if not wide:
                break
            sizes[max(wide, key=sizes.__getitem__)] -= 1
    return sizes if sum(sizes) <= available else None


def _longest_word(text: str) -> int:
    """The least width that the text can be wrapped to; each of its lines has the blanks before the first."""
    return len(text) - len(text.lstrip()) + max(map(len, text.split()), default=0)


def _cell_lines(
    cells: Sequence[str], sizes: Sequence[int], right: Sequence[int], *, at_bottom: bool = False
) -> list[str]:
    """The lines of one row."""
    parts = [wrapped(cell, size) for cell, size in zip(cells, sizes, strict=True)]
    if at_bottom:
        height = max(map(len, parts))
        parts = [[""] * (height - len(lines)) + lines for lines in parts]
    result = []
    for texts in zip_longest(*parts, fillvalue=""):
        padded = [
            coloured(text.rjust(size) if at in right else text.ljust(size), like=cells[at])
            for at, (text, size) in enumerate(zip(texts, sizes, strict=True))
        ]
        result.append(GAP.join(padded).rstrip())
    return result


def _without_repeats(row: Sequence[str], above: Sequence[str]) -> list[str]:
    """The row, its first cells blank where they repeat those of the row above."""
    same = 0
    while same < len(above) and row[same] == above[same]:
        same += 1
    return [""] * same + list(row[same:])


def _named_above(
    header: Sequence[str], rows: Sequence[Sequence[str] | str]
) -> tuple[list[str], list[Sequence[str] | str]]:
    """The table with the cells of its first column as texts above the rows that have them in common."""
    result: list[Sequence[str] | str] = []
    name: str | None = None
    for row in rows:
        if isinstance(row, str):
            name = None
            result.append(row)
            continue
        if row[0] != name:
            name = row[0]
            result.append(name)
        result.append([f"{GAP}{row[1]}", *row[2:]])
    return [f"{GAP}{header[1]}", *header[2:]], result


def _block(header: Sequence[str], row: Sequence[str], width: int) -> list[str]:
    """A row as the text of its first cell and the other cells as fields, without the empty ones."""
    fields = [(name, cell) for name, cell in zip(header[1:], row[1:], strict=True) if cell.strip()]
    indent = len(row[0]) - len(row[0].lstrip()) + len(GAP)
    first = wrapped(row[0], width) if row[0].strip() else []
    return [*first, *(field_lines(fields, width, indent) if fields else [])]
