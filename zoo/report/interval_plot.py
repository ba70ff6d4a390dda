"""Points and confidence intervals as inline SVG on a common axis in percent or percentage points.

Horizontal places are percentages of the width, so that a drawing fills its column while its letters, points
and lines keep their size at any width.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil, floor
from typing import TYPE_CHECKING

from zoo.claims.statistics import Interval
from zoo.report import words

if TYPE_CHECKING:
    from markupsafe import Markup

HEIGHT = 24
STEPS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0)
MAX_TICKS, MOST_LABELS = 7, 4


@dataclass(frozen=True, slots=True)
class Axis:
    """A scale in percent or percentage points with its ticks."""

    low: float
    high: float
    ticks: tuple[float, ...]
    signed: bool = True
    """Whether labels have signs: those of differences do, those of accuracies do not."""

    def x(self, value: float) -> float:
        """The horizontal place of a value, in percent of the width."""
        return round(100 * (value - self.low) / (self.high - self.low), 2)


def axis_over(intervals: Sequence[Interval]) -> Axis:
    """An axis with round ticks that contains 0 and all intervals, which are fractions of 1."""
    return _axis([100 * end for interval in intervals for end in interval] + [0.0])


def accuracy_axis(fractions: Iterable[float]) -> Axis:
    """An axis with round ticks around accuracies, which are fractions of 1; it need not contain 0."""
    values = [100 * value for value in fractions] or [0.0, 100.0]
    return _axis(values, signed=False)


def _axis(values: Sequence[float], *, signed: bool = True) -> Axis:
    low, high = min(values), max(values)
    step = next((step for step in STEPS if high - low <= step * (MAX_TICKS - 2)), STEPS[-1])
    first = floor(low / step)
    last = max(ceil(high / step), first + 1)
    if not signed and last * step > 100:
        first, last = first - 1, last - 1
    return Axis(first * step, last * step, tuple(number * step for number in range(first, last + 1)), signed)


def axis_labels(axis: Axis) -> Markup:
    """The labels of the ticks, for the head of the column. Screen readers read the table instead."""
    from markupsafe import Markup

    labels = Markup().join(
        Markup('<text x="{}%" y="12" text-anchor="middle">{}</text>').format(
            axis.x(tick), words.typeset(_label(axis, tick))
        )
        for tick in _labelled(axis)
    )
    return Markup('<svg class="plot axis" height="16" aria-hidden="true">{}</svg>').format(labels)


def _labelled(axis: Axis) -> tuple[float, ...]:
    """All ticks if they are few, else the even ones: narrow columns have room for these."""
    if len(axis.ticks) <= MOST_LABELS:
        return axis.ticks
    step = axis.ticks[1] - axis.ticks[0]
    return axis.ticks[round(axis.ticks[0] / step) % 2 :: 2]


def _label(axis: Axis, tick: float) -> str:
    return f"{tick:+g}" if axis.signed and tick else f"{tick:g}"


def draw(axis: Axis, kind: str, gain: float, interval: Interval) -> Markup:
    """A gain with its interval, both fractions of 1. Hidden from screen readers, which read the table."""
    return _drawing(axis, kind, _interval(axis, interval) + _point(axis, gain))


def draw_accuracy(
    axis: Axis, claimed: float | None, measured: float | None = None, interval: Interval | None = None
) -> Markup:
    """A claimed accuracy as a diamond, and a measured one as a point with its interval; fractions of 1."""
    from markupsafe import Markup

    drawn = Markup()
    if measured is not None and interval is not None:
        drawn += _interval(axis, interval) + _point(axis, measured)
    if claimed is not None:
        # Rotating a square would move it with the width of the drawing; lines from a nested origin do not.
        drawn += Markup(
            '<svg class="claim" x="{}%" y="{}" width="1" height="1"><path d="M0-7 7 0 0 7-7 0Z"/></svg>'
        ).format(axis.x(100 * claimed), HEIGHT // 2)
    return _drawing(axis, "accuracy", drawn)


def draw_bar(value: float, most: float) -> Markup:
    """A bar from the middle to the right for a gain, to the left for a loss; `most` reaches the end."""
    from markupsafe import Markup

    width = round(50 * abs(value) / most, 2)
    return Markup(
        '<svg class="plot bars" height="{}" aria-hidden="true"><rect class="{}" x="{}%" y="5" width="{}%" '
        'height="{}"/><line class="zero" x1="50%" x2="50%" y1="0" y2="{}"/></svg>'
    ).format(
        HEIGHT, "gain" if value > 0 else "loss", 50 if value > 0 else 50 - width, width, HEIGHT - 10, HEIGHT
    )


def _drawing(axis: Axis, kind: str, content: Markup) -> Markup:
    from markupsafe import Markup

    grid = Markup().join(
        Markup('<line class="{}" x1="{x}%" x2="{x}%" y1="0" y2="{}"/>').format(
            "zero" if axis.signed and not tick else "grid", HEIGHT, x=axis.x(tick)
        )
        for tick in axis.ticks
    )
    return Markup('<svg class="plot {}" height="{}" aria-hidden="true">{}{}</svg>').format(
        kind, HEIGHT, grid, content
    )


def _interval(axis: Axis, interval: Interval) -> Markup:
    from markupsafe import Markup

    low, high = (axis.x(100 * value) for value in interval)
    return Markup('<line class="range" x1="{}%" x2="{}%" y1="{y}" y2="{y}"/>').format(
        low, high, y=HEIGHT // 2
    )


def _point(axis: Axis, value: float) -> Markup:
    from markupsafe import Markup

    return Markup('<circle class="point" cx="{}%" cy="{}" r="4"/>').format(axis.x(100 * value), HEIGHT // 2)
