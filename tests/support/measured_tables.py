"""Puts a measured table into a page of the documentation."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path


def markdown_table(rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown; the first row is its head."""
    head, *others = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join([head, "|" + " --- |" * len(rows[0]), *others])


def replace_table(page: Path, name: str, rows: Sequence[Sequence[str]], summary: str) -> None:
    """Write the table, and a sentence above it, between the comments `NAME: measured` and `end` of a page."""
    begin, end = f"<!-- {name}: measured -->", "<!-- end -->"
    text = page.read_text(encoding="utf-8")
    pattern = re.compile(f"({re.escape(begin)}\n).*?({re.escape(end)})", re.DOTALL)
    if not pattern.search(text):
        raise SystemExit(f"{page}: expected {begin} ... {end}")
    content = f"\n{summary}\n\n{markdown_table(rows)}\n\n"
    page.write_text(pattern.sub(lambda found: found[1] + content + found[2], text), encoding="utf-8")
