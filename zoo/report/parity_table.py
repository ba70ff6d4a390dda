"""The converted forms against what the original frameworks put out, a line for each output of each net."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoo.verification.parity import Parity


@dataclass(frozen=True, slots=True)
class ParityLine:
    """One output of one net in every runtime that ran it; `found` is in the order of the table's runtimes."""

    model: str
    output: str
    images: int
    found: list[Parity | None]

    @property
    def holds(self) -> bool:
        """Whether it agrees in every runtime."""
        return all(row is None or row.holds for row in self.found)


@dataclass(frozen=True, slots=True)
class ParityTable:
    """The lines, the runtimes in the order of the columns, and the bound that all are held against."""

    runtimes: list[str]
    lines: list[ParityLine]
    bound: float


def parity_table(rows: Sequence[Parity]) -> ParityTable | None:
    """The table; None if nothing was checked."""
    if not rows:
        return None
    runtimes = list(dict.fromkeys(row.runtime for row in rows))
    by_output: dict[tuple[str, str, int], dict[str, Parity]] = {}
    for row in rows:
        by_output.setdefault((row.model, row.output, row.images), {})[row.runtime] = row
    lines = [
        ParityLine(model, output, images, [found.get(runtime) for runtime in runtimes])
        for (model, output, images), found in by_output.items()
    ]
    return ParityTable(runtimes, lines, rows[0].bound)
