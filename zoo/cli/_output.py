"""Plain output that several commands share: JSON, tables, fields, numbers."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from math import isfinite

# Of a terminal, in columns; running text is wrapped at it.
WIDTH = 80


def print_json(data: object) -> None:
    """Print `data` as indented JSON in ASCII, which every encoding of stdout can show.

    Infinities and NaN, which JSON cannot express, become null.
    """
    print(json.dumps(_finite(data), indent=2, allow_nan=False))


def _finite(data: object) -> object:
    if isinstance(data, dict):
        return {name: _finite(value) for name, value in data.items()}
    if isinstance(data, list | tuple):
        return [_finite(value) for value in data]
    return None if isinstance(data, float) and not isfinite(data) else data


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> None:
    """Print aligned columns, the same on a terminal and in a pipe; columns in `right` are aligned right."""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    for row in (header, *rows):
        cells = (
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        print("  ".join(cells).rstrip())


def print_fields(fields: Sequence[tuple[str, str]], indent: int = 2) -> None:
    """Print `name  value` lines; further lines of a value are aligned under its first."""
    width = max(len(name) for name, _ in fields)
    for name, value in fields:
        first, *more = value.split("\n")
        print(f"{'':{indent}}{name:{width}}  {first}".rstrip())
        for line in more:
            print(f"{'':{indent + width + 2}}{line}")


def show_progress(line: str) -> None:
    """Show one line on stderr, which the next call replaces; only on a terminal."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)


def counted(count: int, what: str) -> str:
    """A count with its noun: `1 layer`, `2,000 layers`."""
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def human_bytes(count: int) -> str:
    """`675763` as `675,763 bytes (0.7 MB)`."""
    return f"{count:,} bytes" + (f" ({count / 1e6:.1f} MB)" if count >= 100_000 else "")
