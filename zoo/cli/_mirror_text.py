"""The outcome of `export-cache` and `import-cache`, file by file, on the terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from zoo.download.mirror import CopiedFile


def print_copied(files: Iterable[CopiedFile]) -> int:
    """Print the outcome of each file and return their number; after errors the command ends with 1."""
    errors, count = [], 0
    for file in files:
        count += 1
        if isinstance(file.outcome, str):
            print(f"  {file.model}/{file.name}: {file.outcome}", flush=True)
        else:
            errors.append(file.outcome)
    for error in errors:
        print(f"dsd-zoo: {error}", file=sys.stderr)
    if errors:
        raise typer.Exit(1)
    return count
