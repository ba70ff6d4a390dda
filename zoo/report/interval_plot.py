"""Confidence intervals as inline SVG on a common axis in percentage points."""

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
MAX_TICKS = 7


@dataclass(frozen=True, slots=True)
class Axis:
    """A scale in percentage points with its ticks; it always contains 0."""

    low: float
    high: float
    ticks: tuple[float, ...]

    def x(self, value: float) -> float:
        """The horizontal position of a value in percentage points, in pixels."""
        share = (value - self.low) / (self.high - self.low)
        return round(MARGIN + share * (WIDTH - 2 * MARGIN), 1)


def axis_over(intervals: Sequence[Interval]) -> Axis:
    """An axis with round ticks that contains 0 and all intervals, which are fractions of 1."""
    ends = [100 * end for interval in intervals for end in interval] + [0.0]
    low, high = min(ends), max(ends)
    step = next((step for step in STEPS if high - low <= step * (MAX_TICKS - 2)), STEPS[-1])
    first, last = floor(low / step), max(ceil(high / step), floor(low / step) + 1)
    return Axis(first * step, last * step, tuple(number * step for number in range(first, last + 1)))


def axis_labels(axis: Axis) -> Markup:
    """The labels of the ticks, for the head of the column."""
    from markupsafe import Markup

    labels = Markup().join(
        Markup('<text x="{}" y="12" text-anchor="middle">{}</text>').format(
            axis.x(tick), words.typeset(f"{tick:+g}" if tick else "0")
        )
        for tick in axis.ticks
    )
    return Markup('<svg viewBox="0 0 {} 16" aria-hidden="true">{}</svg>').format(WIDTH, labels)


def draw(axis: Axis, kind: str, gain: float, interval: Interval) -> Markup:
    """A gain with its interval, both fractions of 1. Hidden from screen readers, which read the table."""
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
