"""What `dsd-zoo train` tells: progress while it trains, and the result."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.cli._output import print_table, say

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

    from zoo.training.stages import EpochRecord
    from zoo.training.train import Progress
    from zoo.training.verdict import Verdict

# A line is printed for every epoch where that is not on a terminal, but no more often than so many seconds.
SECONDS_BETWEEN_LINES = 5.0


@contextmanager
def shown_progress(*, silent: bool = False) -> Iterator[Progress]:
    """Progress on stderr: a bar on a terminal, lines elsewhere."""
    from zoo.training.train import Progress

    if silent:
        yield Progress()
        return
    lines = _Lines()
    if not sys.stderr.isatty():
        yield Progress(epoch=lines.epoch, step=lines.step)
        return
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with RichProgress(*columns, console=Console(stderr=True), transient=True) as bars:
        bar = _Bar(bars)
        yield Progress(images=bar.images, epoch=bar.epoch, step=bar.step)


@dataclass
class _Bar:
    """A bar over the whole training, with what the last epoch gave."""

    bars: Bars
    task: int | None = None

    def images(self, done: int, total: int) -> None:
        self._update("reading the images", done, total)

    def step(self, done: int, total: int) -> None:
        self._update(None, done, total)

    def epoch(self, seed: int, record: EpochRecord) -> None:
        self._update(_epoch_text(seed, record), None, None)

    def _update(self, text: str | None, done: int | None, total: int | None) -> None:
        if self.task is None:
            self.task = self.bars.add_task("training", total=None)
        changes: dict[str, object] = {} if text is None else {"description": text}
        if done is not None:
            changes |= {"completed": done, "total": total}
        self.bars.update(self.task, **changes)  # type: ignore[arg-type]


@dataclass
class _Lines:
    """A line for the end of each stage, and in between from time to time."""

    printed: float = field(default_factory=time.monotonic)
    started: float = field(default_factory=time.monotonic)
    first: int | None = None
    share: tuple[int, int] = (0, 1)

    def step(self, done: int, total: int) -> None:
        # What was done before a resumption says nothing about the speed.
        self.first = done if self.first is None else self.first
        self.share = done, total

    def epoch(self, seed: int, record: EpochRecord) -> None:
        late = time.monotonic() - self.printed > SECONDS_BETWEEN_LINES
        if not late and record.epoch < record.epochs:
            return
        self.printed = time.monotonic()
        print(f"{_epoch_text(seed, record)}  {self._left()}", file=sys.stderr)

    def _left(self) -> str:
        done, total = self.share
        trained = done - (self.first or 0)
        if not trained:
            return ""
        seconds = (time.monotonic() - self.started) * (total - done) / trained
        return f"{_duration(seconds)} left"


def _epoch_text(seed: int, record: EpochRecord) -> str:
    accuracy = 100 * record.top1 / record.n if record.n else 0
    return (
        f"seed {seed}  {record.stage:<13} epoch {record.epoch:>3} of {record.epochs}  "
        f"loss {record.loss:7.4f}  top-1 {accuracy:6.2f} %"
    )


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def print_verdicts(verdicts: Sequence[Verdict], out: Path) -> None:
    """The gains by seed, the verdict, and where the rest is."""
    (verdict,) = [verdict for verdict in verdicts if verdict.metric == "top1"]
    rows = [
        (
            str(seed.seed),
            str(seed.baseline_correct),
            str(seed.sparse_correct),
            str(seed.dsd_correct),
            f"{seed.gain:+d}",
            f"{seed.paired.only_model}:{seed.paired.only_baseline}",
            f"{seed.paired.p_value:.3g}",
        )
        for seed in verdict.seeds
    ]
    say(f"top-1, right images of {verdict.n:,}\n")
    header = ("SEED", "BASELINE", "SPARSE", "DSD", "GAIN", "DISCORDANT", "McNEMAR P")
    print_table(header, rows, right=tuple(range(len(header))))
    say(f"\n{verdict.outcome}")
    if verdict.interval is not None and verdict.minimum_detectable is not None:
        low, high = verdict.interval
        say(
            f"mean gain {verdict.mean_gain:+.2f} images, 95 % interval {low:+.2f} to {high:+.2f} "
            f"(Student's t over {len(verdict.seeds)} seeds)"
        )
        say(
            f"the smallest mean gain that these seeds would have shown in 80 % of the cases: "
            f"{verdict.minimum_detectable:.2f} images, "
            f"{100 * verdict.minimum_detectable / verdict.n:.2f} points"
        )
    detectable = max(seed.paired.minimum_detectable for seed in verdict.seeds)
    say(
        "the smallest gain that one seed alone would have shown by McNemar's test: "
        f"{100 * detectable:.2f} points"
    )
    say(f"\neverything is in {out}; its nets are models for other commands:")
    say(f"  dsd-zoo list --manifests {out}")
    say(f"  dsd-zoo audit --manifests {out} --evidence {out / 'evidence'}")
