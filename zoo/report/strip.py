"""Intervals drawn as inline SVG on one common axis, in percentage points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor
from typing import TYPE_CHECKING

from zoo.claims.statistics import Interval
from zoo.report import words

if TYPE_CHECKING:
    from markupsafe import Markup

WIDTH = 272
MARGIN = 14
STEPS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
MOST_TICKS = 7


@dataclass(frozen=True, slots=True)
class Axis:
    """A scale in percentage points with its ticks; 0 is always on it."""

    low: float
    high: float
    ticks: tuple[float, ...]

    def x(self, value: float) -> float:
        """Where a value in points lies, in pixels."""
        share = (value - self.low) / (self.high - self.low)
        return round(MARGIN + share * (WIDTH - 2 * MARGIN), 1)


def axis_over(intervals: Sequence[Interval]) -> Axis:
    """An axis with round ticks that holds all intervals (fractions of 1) and 0."""
    ends = [100 * end for interval in intervals for end in interval] + [0.0]
    low, high = min(ends), max(ends)
    step = next((step for step in STEPS if high - low <= step * (MOST_TICKS - 2)), STEPS[-1])
    first, last = floor(low / step), max(ceil(high / step), floor(low / step) + 1)
    return Axis(first * step, last * step, tuple(number * step for number in range(first, last + 1)))


def head(axis: Axis) -> Markup:
    """The axis with its labels, for the head of the column."""
    from markupsafe import Markup

    labels = Markup().join(
        Markup('<text x="{}" y="12" text-anchor="middle">{}</text>').format(
            axis.x(tick), words.typeset(f"{tick:+g}" if tick else "0")
        )
        for tick in axis.ticks
    )
    return Markup('<svg viewBox="0 0 {} 16" aria-hidden="true">{}</svg>').format(WIDTH, labels)


def strip(axis: Axis, kind: str, gain: float, interval: Interval) -> Markup:
    """One gain (fraction of 1) with its interval; hidden from screen readers, the numbers stand beside it."""
    from markupsafe import Markup

    grid = Markup().join(
        Markup('<line class="{}" x1="{x}" x2="{x}" y1="0" y2="24"/>').format(
            "grid" if tick else "zero", x=axis.x(tick)
        )
        for tick in axis.ticks
    )
    low, point, high = (axis.x(100 * value) for value in (interval.low, gain, interval.high))
    drawn = Markup(
        '<line class="range" x1="{}" x2="{}" y1="12" y2="12"/><circle class="point" cx="{}" cy="12" r="4"/>'
    ).format(low, high, point)
    return Markup('<svg viewBox="0 0 {} 24" class="{}" aria-hidden="true">{}{}</svg>').format(
        WIDTH, kind, grid, drawn
    )
