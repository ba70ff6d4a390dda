"""Curves over epochs, and histograms, as inline SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from typing import TYPE_CHECKING

from zoo.report import words

if TYPE_CHECKING:
    from markupsafe import Markup

WIDTH, HEIGHT = 640, 240
LEFT, RIGHT, TOP, BOTTOM = 48, 12, 20, 28
BAR_HEIGHT = 90


@dataclass(frozen=True, slots=True)
class Curve:
    """Points (epoch, value); `kind` is the class of the style sheet: dsd or baseline."""

    kind: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Phase:
    """A phase in words, and the epochs at which it begins and ends."""

    name: str
    first: float
    last: float


def draw_curves(curves: Sequence[Curve], phases: Sequence[Phase], label: str, settled: float = 0) -> Markup:
    """The curves over the phases. `label` says what they are.

    The axis has room for the values from the epoch `settled` on; what lies below it is cut off.
    """
    from markupsafe import Markup

    low, high, step = _axis(curves, settled)
    last = max(phase.last for phase in phases)

    def x(epoch: float) -> float:
        return round(LEFT + epoch / last * (WIDTH - LEFT - RIGHT), 1)

    def y(value: float) -> float:
        return round(HEIGHT - BOTTOM - (value - low) / (high - low) * (HEIGHT - TOP - BOTTOM), 1)

    ticks = [low + step * k for k in range(round((high - low) / step) + 1)]
    drawn = [
        Markup(
            '<line class="grid" x1="{}" x2="{}" y1="{y}" y2="{y}"/>'
            '<text x="{}" y="{}" text-anchor="end">{}</text>'
        ).format(LEFT, WIDTH - RIGHT, LEFT - 6, y(tick) + 4, words.typeset(f"{tick:g}"), y=y(tick))
        for tick in (round(tick, 10) for tick in ticks)
    ]
    for phase in phases:
        drawn.append(
            Markup(
                '<line class="zero" x1="{x}" x2="{x}" y1="{}" y2="{}"/>'
                '<text x="{}" y="12" text-anchor="middle">{}</text>'
                '<text x="{x}" y="{}" text-anchor="middle">{}</text>'
            ).format(
                TOP,
                HEIGHT - BOTTOM,
                (x(phase.first) + x(phase.last)) / 2,
                phase.name,
                HEIGHT - 10,
                f"{phase.first:g}",
                x=x(phase.first),
            )
        )
    lines = [
        Markup('<polyline class="{}" points="{}"/>').format(
            curve.kind, " ".join(f"{x(epoch)},{y(value)}" for epoch, value in curve.points)
        )
        for curve in curves
    ]
    # An svg in an svg cuts off what is outside of it: a pixel more, for the width of a line.
    area = {"y": TOP - 1, "height": HEIGHT - TOP - BOTTOM + 2, "width": WIDTH, "lines": Markup().join(lines)}
    drawn.append(
        Markup(
            '<svg y="{y}" width="{width}" height="{height}" viewBox="0 {y} {width} {height}">{lines}</svg>'
        ).format(**area)
    )
    return Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        WIDTH, HEIGHT, label, Markup().join(drawn)
    )


def value_below_axis(curves: Sequence[Curve], settled: float) -> str | None:
    """Where the axis of `draw_curves` begins, if values lie below it."""
    low, _, _ = _axis(curves, settled)
    is_below = any(value < low for curve in curves for _, value in curve.points)
    return f"{round(low, 10):g}" if is_below else None


def _axis(curves: Sequence[Curve], settled: float) -> tuple[float, float, float]:
    values = [value for curve in curves for epoch, value in curve.points if epoch >= settled]
    return _range(min(values), max(values))


def draw_histogram(counts: Sequence[int], zeros: int, labels: tuple[str, str, str], label: str) -> Markup:
    """Bars of equal width, and one for exact zeros in the middle. labels: for left end, middle, right end."""
    from markupsafe import Markup

    highest = max(*counts, zeros, 1)
    width = (WIDTH - 2 * RIGHT) / len(counts)
    drawn = []
    for k, count in enumerate(counts):
        height = round(count / highest * BAR_HEIGHT, 1)
        drawn.append(
            Markup('<rect class="bar" x="{}" y="{}" width="{}" height="{}"/>').format(
                round(RIGHT + k * width, 1), round(BAR_HEIGHT - height, 1), round(width - 1, 1), height
            )
        )
    middle, height = WIDTH / 2, round(zeros / highest * BAR_HEIGHT, 1)
    drawn.append(
        Markup('<rect class="zeros" x="{}" y="{}" width="4" height="{}"/>').format(
            middle - 2, round(BAR_HEIGHT - height, 1), height
        )
    )
    for place, anchor, text in zip(
        (RIGHT, middle, WIDTH - RIGHT), ("start", "middle", "end"), labels, strict=True
    ):
        drawn.append(
            Markup('<text x="{}" y="{}" text-anchor="{}">{}</text>').format(
                place, BAR_HEIGHT + 16, anchor, words.typeset(text)
            )
        )
    return Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        WIDTH, BAR_HEIGHT + 22, label, Markup().join(drawn)
    )


def _range(low: float, high: float) -> tuple[float, float, float]:
    """Round ends of an axis with all values on it, and the distance of its ticks: about five."""
    span = high - low or abs(high) or 1.0
    power = 10.0 ** floor(log10(span / 5))
    step = next(power * factor for factor in (1, 2, 5, 10) if span / (power * factor) <= 5)
    bottom, top = floor(low / step) * step, ceil(high / step) * step
    return bottom, top if top > bottom else bottom + step, step
