"""A run with some of its rows changed."""

from __future__ import annotations

from dataclasses import replace

from zoo.evidence.run import Run


def changed(run: Run, changes: dict[int, dict]) -> Run:
    """The run with new values for fields of some rows, by position, and with the counts of the new rows."""
    rows = [replace(row, **changes.get(i, {})) for i, row in enumerate(run.rows)]
    counts = {
        "top1_correct": sum(row.top1_correct for row in rows),
        "top5_correct": sum(row.top5_correct for row in rows),
    }
    return Run(run.result.model_copy(update=counts), rows)
