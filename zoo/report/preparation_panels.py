"""The accuracy of each net under every preparation that it was run with, as a small multiple."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zoo.claims.statistics import Interval, wilson_interval
from zoo.report import words
from zoo.report.interval_plot import Axis, accuracy_axis
from zoo.report.matrix import result_settings

if TYPE_CHECKING:
    from zoo.claims.reported import ReportedNet
    from zoo.evidence.run import Result


@dataclass(frozen=True, slots=True)
class PreparedLine:
    """One run: its preparation, the share of right images with its interval, and what differs from the first.

    claimed_share: always None; the line is drawn like one of a claim.
    """

    name: str
    count: str
    share: float
    interval: Interval
    change: str
    claimed_share: float | None = None


@dataclass(frozen=True, slots=True)
class AccuracyPanels:
    """A panel for each net with several preparations, all on one axis; in top-1."""

    axis: Axis
    panels: list[tuple[str, list[PreparedLine]]]


def accuracy_panels(nets: Sequence[ReportedNet]) -> AccuracyPanels | None:
    """The panels; None if every net was run under one preparation only."""
    panels = [(net.name, lines) for net in nets if len(lines := _lines(net)) > 1]
    ends = [end for _, lines in panels for line in lines for end in line.interval]
    return AccuracyPanels(accuracy_axis(ends), panels) if panels else None


def _lines(net: ReportedNet) -> list[PreparedLine]:
    """One line for each preparation and precision over the images of the main run, that one first."""
    main = net.main
    if main is None:
        return []
    chosen: dict[str, Result] = {}
    for result in (main.result, *net.results):
        if (result.dataset, result.n) == (main.result.dataset, main.result.n):
            chosen.setdefault(result_settings(result), result)
    first = main.result.top1_correct
    crops = {result.preprocessing.get("crop") for result in chosen.values()}
    same = f", crop {crops.pop()}" if len(crops) == 1 else ""
    return [_line(name.replace(same, ""), result, first) for name, result in chosen.items()]


def _line(name: str, result: Result, first: int) -> PreparedLine:
    correct = result.top1_correct
    change = words.points((correct - first) / result.n)
    return PreparedLine(
        name,
        f"{correct:,} of {result.n:,}",
        correct / result.n,
        wilson_interval(correct, result.n),
        change if correct != first else "",
    )
