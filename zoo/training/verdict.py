"""What the training gained: for each seed image by image, and over the seeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from statistics import mean
from typing import TYPE_CHECKING, Any

from zoo.claims.gains import PairedGain, paired_gain
from zoo.claims.statistics import Interval, mean_interval, minimum_detectable_mean
from zoo.vocabulary import METRICS, Metric

if TYPE_CHECKING:
    from zoo.evidence.run import Run


@dataclass(frozen=True, slots=True)
class SeedGain:
    """DSD against the baseline of one seed, on the same images. gain: in images."""

    seed: int
    dsd_correct: int
    baseline_correct: int
    sparse_correct: int
    gain: int
    paired: PairedGain


@dataclass(frozen=True, slots=True)
class Verdict:
    """The gain of DSD over the fair baseline by one metric, in images of n.

    interval, minimum_detectable: Student's t interval of the mean gain, and the smallest true mean gain that
    so many seeds with this spread reveal in 80 % of the cases; None for a single seed.
    """

    metric: Metric
    n: int
    seeds: tuple[SeedGain, ...]
    mean_gain: float
    interval: Interval | None
    minimum_detectable: float | None

    @property
    def significant_seeds(self) -> int:
        """How many seeds differ by the exact McNemar test at 5 %."""
        return sum(seed.paired.significant for seed in self.seeds)

    @property
    def outcome(self) -> str:
        """The verdict in words."""
        percent = f"{100 * self.mean_gain / self.n:+.2f} points"
        if self.interval is None:
            seed = self.seeds[0]
            gained = "gained" if seed.gain > 0 else "lost" if seed.gain < 0 else "changed nothing"
            if not seed.paired.significant:
                return (
                    f"one seed alone: {seed.gain:+d} images of {self.n} ({percent}), which chance explains "
                    f"(p = {seed.paired.p_value:.3g})"
                )
            return f"one seed alone: DSD {gained}, {percent} (p = {seed.paired.p_value:.3g})"
        if self.interval.low == self.interval.high != 0:
            return f"every seed gained {self.mean_gain:+g} images: without a spread there is no interval"
        if self.interval.low > 0:
            return f"DSD gained over the fair baseline: {percent}"
        if self.interval.high < 0:
            return f"DSD lost against the fair baseline: {percent}"
        return f"no gain over the fair baseline can be seen: {percent}, and the interval includes 0"

    def to_json(self) -> dict[str, Any]:
        """JSON-able data: the fields, and outcome and significant_seeds."""
        return {**asdict(self), "significant_seeds": self.significant_seeds, "outcome": self.outcome}


def verdicts(runs: Mapping[int, Mapping[str, Run]]) -> list[Verdict]:
    """The verdict by each metric. runs: by seed, then baseline, sparse and dsd, all over the same images."""
    return [_verdict(metric, runs) for metric in METRICS]


def _verdict(metric: Metric, runs: Mapping[int, Mapping[str, Run]]) -> Verdict:
    seeds = []
    for seed, of_seed in runs.items():
        correct = {name: run.result.correct(metric) for name, run in of_seed.items()}
        paired = paired_gain(metric, of_seed["dsd"], of_seed["baseline"])
        gain = correct["dsd"] - correct["baseline"]
        seeds.append(SeedGain(seed, correct["dsd"], correct["baseline"], correct["sparse"], gain, paired))
    gains = [float(seed.gain) for seed in seeds]
    several = len(gains) > 1
    return Verdict(
        metric=metric,
        n=seeds[0].paired.n,
        seeds=tuple(seeds),
        mean_gain=mean(gains),
        interval=mean_interval(gains) if several else None,
        minimum_detectable=minimum_detectable_mean(gains) if several else None,
    )
