"""Plain output that several commands share: JSON, tables, fields, text, numbers."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from math import isfinite

from zoo.cli._colour import coloured
from zoo.cli._columns import terminal_width
from zoo.cli._tables import field_lines, table_lines, wrapped


@dataclass
class Document:
    """The JSON document that a command with --json prints: exactly one, which tells its error, too."""

    data: object = None
    is_set: bool = False

    def fail(self, error: str, message: str, exit_code: int) -> None:
        """Add the error to what was found so far, if that is an object; else the error is all there is."""
        found = self.data if self.is_set and isinstance(self.data, dict) else {}
        self.data = {**found, "error": {"type": error, "message": message, "exit_code": exit_code}}
        self.is_set = True


# That of the command that runs, if it is one with --json.
_document: ContextVar[Document | None] = ContextVar("document", default=None)


@contextmanager
def json_document(wanted: bool) -> Iterator[Document | None]:
    """Hold back what `print_json` gets, as the command may fail yet; None if no document is wanted."""
    document = Document() if wanted else None
    token = _document.set(document)
    try:
        yield document
    finally:
        _document.reset(token)


def in_github_workflow() -> bool:
    """Whether this runs in a workflow of GitHub, which shows some lines beside the commit."""
    return os.environ.get("GITHUB_ACTIONS") == "true"


def print_json(data: object) -> None:
    """Print `data` as indented JSON in ASCII, which every encoding of stdout can show.

    Infinities and NaN, which JSON cannot express, become null. See `json_document`.
    """
    document = _document.get()
    if document is None:
        print_document(Document(data))
    else:
        document.data, document.is_set = data, True


def print_document(document: Document) -> None:
    """Print it now."""
    print(json.dumps(_finite(document.data), indent=2, allow_nan=False))


def _finite(data: object) -> object:
    if isinstance(data, dict):
        return {name: _finite(value) for name, value in data.items()}
    if isinstance(data, list | tuple):
        return [_finite(value) for value in data]
    return None if isinstance(data, float) and not isfinite(data) else data


def say(text: str, indent: str = "") -> None:
    """Print text wrapped at the width of the terminal, line by line; commands and long words stay whole.

    indent: blanks before further lines, beside those before the first. A Verdict is printed in colour.
    """
    for line in text.split("\n"):
        for part in wrapped(line, terminal_width(), indent):
            print(coloured(part, like=text))


def print_table(
    header: Sequence[str],
    rows: Sequence[Sequence[str] | str],
    right: Sequence[int] = (),
    merged: int = 0,
) -> None:
    """Print a table as wide as the terminal at most; see `table_lines`."""
    for line in table_lines(header, rows, terminal_width(), right=right, merged=merged):
        print(line)


def print_fields(fields: Sequence[tuple[str, str]], indent: int = 2) -> None:
    """Print `name  value` lines; further lines of a value are aligned under its first."""
    for line in field_lines(fields, terminal_width(), indent):
        print(line)


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
