"""The outcome of `export-cache` and `import-cache`, file by file, on the terminal and as JSON."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from zoo.cli._output import print_json, say

if TYPE_CHECKING:
    from zoo.download.mirror import CopiedFile


def print_copied(files: Iterable[CopiedFile], folder: Path, cache: Path, *, json: bool) -> int:
    """Print the outcome of each file and return their number; after errors the command ends with 1.

    As JSON: folder and cache (paths), files (model, name, outcome, error; one of the last two is null).
    """
    found = []
    for file in files:
        found.append(file)
        if isinstance(file.outcome, str):
            if not json:
                say(f"  {file.model}/{file.name}: {file.outcome}", "  ")
            sys.stdout.flush()
        else:
            print(f"dsd-zoo: {file.outcome}", file=sys.stderr)
    if json:
        entries = [
            {
                "model": file.model,
                "name": file.name,
                "outcome": file.outcome if isinstance(file.outcome, str) else None,
                "error": None if isinstance(file.outcome, str) else str(file.outcome),
            }
            for file in found
        ]
        print_json({"folder": str(folder), "cache": str(cache), "files": entries})
    if not all(isinstance(file.outcome, str) for file in found):
        raise typer.Exit(1)
    return len(found)
