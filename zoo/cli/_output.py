"""What several commands share: options, the catalog of a call, and plain output."""

from __future__ import annotations

import json
from collections.abc import Sequence
from math import isfinite


def print_json(data: object) -> None:
    """`data` on stdout as indented JSON, in ASCII: readable whatever encoding stdout has.

    null for what is infinite or no number, which JSON has no words for.
    """
    print(json.dumps(_finite(data), indent=2, allow_nan=False))


def _finite(data: object) -> object:
    if isinstance(data, dict):
        return {name: _finite(value) for name, value in data.items()}
    if isinstance(data, list | tuple):
        return [_finite(value) for value in data]
    return None if isinstance(data, float) and not isfinite(data) else data


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> None:
    """Aligned columns on stdout, the same on a terminal and in a pipe; `right` are flushed right."""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    for row in (header, *rows):
        cells = (
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        print("  ".join(cells).rstrip())


def print_fields(fields: Sequence[tuple[str, str]], indent: int = 2) -> None:
    """`name  value` lines on stdout; a value of several lines is continued under its first."""
    width = max(len(name) for name, _ in fields)
    for name, value in fields:
        first, *more = value.split("\n")
        print(f"{'':{indent}}{name:{width}}  {first}".rstrip())
        for line in more:
            print(f"{'':{indent + width + 2}}{line}")


def counted(count: int, what: str) -> str:
    """A number of things, in words: `1 layer`, `2,000 layers`."""
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def human_bytes(count: int) -> str:
    """`675763` as `675,763 bytes (0.7 MB)`."""
    return f"{count:,} bytes" + (f" ({count / 1e6:.1f} MB)" if count >= 100_000 else "")
