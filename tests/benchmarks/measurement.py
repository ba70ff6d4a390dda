"""A measurement: a function that returns rows, registered under its name."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

# Column -> a number, or text; every row of a measurement has the same columns.
Row = dict[str, float | str]


class Unavailable(Exception):
    """Something that a measurement needs is not here; the message says what and how to get it."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What all measurements are given.

    folder: for scratch files; it is kept from one measurement to the next.
    quick: fewer nets, images and rounds: a look, not figures to publish.
    opencv4: a Python that has OpenCV 4.14, whose Caffe reader is compared with. None: no comparison.
    baseline: a Python that has another version of this project, which is compared with. None: no comparison.
    """

    folder: Path
    quick: bool = False
    opencv4: Path | None = None
    baseline: Path | None = None

    @property
    def builds(self) -> dict[str, Path]:
        """The builds of this project that are compared: a prefix for columns, and the Python that has it."""
        return {"": Path(sys.executable)} | ({} if self.baseline is None else {"baseline ": self.baseline})

    def rounds(self, usual: int) -> int:
        """How often to repeat what is taken in turns."""
        return 2 if self.quick else usual


@dataclass(frozen=True, slots=True)
class Measurement:
    """about: one sentence on what is measured and how, shown above the table."""

    name: str
    about: str
    run: Callable[[Settings], list[Row]]


MEASUREMENTS: dict[str, Measurement] = {}


def measurement(name: str, about: str) -> Callable[[Callable[[Settings], list[Row]]], None]:
    """Register the decorated function. ValueError for a name that is taken."""

    def register(run: Callable[[Settings], list[Row]]) -> None:
        if name in MEASUREMENTS:
            raise ValueError(f"there are two measurements called {name}")
        MEASUREMENTS[name] = Measurement(name, about, run)

    return register


def text_of(value: float | str) -> str:
    """A cell of a table: three digits that count, or more before the point."""
    if isinstance(value, str):
        return value
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f}"
