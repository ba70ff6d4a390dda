"""Accuracies that a run must reach."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from zoo.evidence.run import Result
from zoo.vocabulary import METRIC_NAMES, Metric


@dataclass(frozen=True, slots=True)
class Minimum:
    """An accuracy in percent that was asked for, and the images that were right."""

    metric: Metric
    percent: float
    correct: int
    n: int

    @property
    def holds(self) -> bool:
        """Whether the accuracy is reached, exactly: 98.4 % of 500 images are 492."""
        return self.correct * 100 >= Fraction(str(self.percent)) * self.n

    def verdict(self) -> str:
        """The outcome in one sentence."""
        found = f"{METRIC_NAMES[self.metric]} is {100 * self.correct / self.n:.2f} %"
        return f"{found}, {'as asked' if self.holds else 'too low'}: at least {self.percent:g} %"

    def to_json(self) -> dict[str, Any]:
        """JSON-able data: metric, percent, correct, n, holds."""
        return {
            "metric": self.metric,
            "percent": self.percent,
            "correct": self.correct,
            "n": self.n,
            "holds": self.holds,
        }


def minimums_of(result: Result, wanted: Mapping[Metric, float]) -> list[Minimum]:
    """What was asked for, held against a result. wanted: percent by metric."""
    return [Minimum(metric, percent, result.correct(metric), result.n) for metric, percent in wanted.items()]
