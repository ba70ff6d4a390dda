"""The tables of a report as a file: Markdown, CSV or LaTeX; and its numbers as JSON."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from zoo.files import cannot_write
from zoo.report.markdown import cell
from zoo.report.plain_tables import COLUMNS, PlainTable, plain_tables, value_rows

if TYPE_CHECKING:
    from zoo.claims.reported import Reported

TableFormat = Literal["markdown", "csv", "latex"]
# What TeX reads as commands; the rest of ASCII and the Latin letters stand for themselves.
_TEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}


def write_tables(path: Path, found: Reported, kind: TableFormat) -> None:
    """Write all tables into one file, completely or not at all. UsageError if it cannot be written there."""
    from converters import atomic_write

    text = tables_as_text(found, kind)
    try:
        with atomic_write(path) as temporary:
            # CSV says itself where its lines end.
            temporary.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise cannot_write(path, "the tables", error) from error


def tables_as_text(found: Reported, kind: TableFormat) -> str:
    """All tables in one text. In CSV they are one table of values, to be filtered by its first column."""
    if kind == "csv":
        return _as_csv(found)
    written: Callable[[PlainTable], str] = _as_markdown if kind == "markdown" else _as_latex
    return "\n".join(written(table) for table in plain_tables(found))


def _as_csv(found: Reported) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(value_rows(found))
    return text.getvalue()


def _as_markdown(table: PlainTable) -> str:
    marks = ["---:" if column in table.right else "---" for column in range(len(table.header))]
    lines = [
        f"### {cell(table.title)}",
        "",
        "| " + " | ".join(table.header) + " |",
        "|" + "|".join(marks) + "|",
        *("| " + " | ".join(map(cell, row)) + " |" for row in table.rows),
        "",
        *([cell(table.note), ""] if table.note else []),
    ]
    return "\n".join(lines)


def _as_latex(table: PlainTable) -> str:
    r"""A floating table for \usepackage{booktabs}."""
    columns = "".join("r" if column in table.right else "l" for column in range(len(table.header)))
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{_tex(table.title)}.{f' {_tex(table.note)}' if table.note else ''}}}",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        _tex_row(table.header),
        r"\midrule",
        *map(_tex_row, table.rows),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
        "",
    ]
    return "\n".join(lines)


def _tex_row(cells: tuple[str, ...]) -> str:
    return " & ".join(map(_tex, cells)) + r" \\"


def _tex(text: str) -> str:
    """The text as TeX prints it, on one line, with minus signs before numbers."""
    flat = "".join(_TEX.get(character, character) for character in " ".join(text.split()))
    return re.sub(r"(?<!\w)-(?=\d)|(?<=e)-(?=\d)", "$-$", flat)


def report_as_json(found: Reported) -> dict[str, Any]:
    """Everything that the page has in numbers, JSON-able."""
    return {
        "holds": found.holds,
        "nets": [
            {
                "name": net.name,
                "in_catalog": net.manifest is not None,
                "runs": [run.result.model_dump(mode="json") for run in net.runs],
                "audit": None if net.audit is None else net.audit.to_json(),
            }
            for net in found.nets
        ],
        "pairs": [
            {**pair.matrix.to_json(), "classes": [asdict(gain) for gain in pair.classes]}
            for pair in found.pairs
        ],
    }
