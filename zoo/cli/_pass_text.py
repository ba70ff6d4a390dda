"""The findings of a pass over the images with several nets on the terminal."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.cli._output import print_table, say
from zoo.cli._validation_text import print_findings
from zoo.vocabulary import METRIC_NAMES, METRICS, Metric

if TYPE_CHECKING:
    from zoo.claims.findings import PassFindings
    from zoo.claims.gain_matrix import GainMatrix, MatrixRow


def print_pass(found: PassFindings) -> None:
    """Print what was found of each net as of a run of it alone, then the gains of each pair."""
    for number, of_net in enumerate(found.nets):
        if number:
            say("\n")
        print_findings(of_net, len(found.nets))
    for pair in found.pairs:
        say("\n")
        print_matrix(pair)


def say_complete(folder: Path) -> None:
    """Say on stderr that --resume had nothing left to do."""
    print(
        f"dsd-zoo: {folder}: this run is complete, nothing was left to do; "
        "the same command without --resume measures again",
        file=sys.stderr,
    )


def print_matrix(pair: GainMatrix) -> None:
    """The gains of one net over another: a table for each metric with a row for each preprocessing."""
    from zoo.report.matrix import matrix_notes

    say(f"{pair.model} over {pair.baseline}, image by image")
    for metric in METRICS if pair.rows else ():
        print()
        _print_metric(pair, metric)
    print()
    for line in matrix_notes(pair):
        say(line)
    if pair.rows:
        say("WON, LOST: images right with one net only. GAIN: percentage points. P: exact McNemar test.")


def _print_metric(pair: GainMatrix, metric: Metric) -> None:
    from zoo.report.matrix import matrix_sentence

    by_precision = len({row.precision for row in pair.rows}) > 1
    lines = [_line(row, metric, row.precision if by_precision else row.flavour) for row in pair.rows]
    name = f"{METRIC_NAMES[metric].upper()} {'IN' if by_precision else 'BY'}"
    header = (name, "RIGHT", "BASELINE", "WON", "LOST", "GAIN", "95 % INTERVAL", "P")
    print_table(header, lines, right=(1, 2, 3, 4, 5, 6, 7))
    say(matrix_sentence(pair, metric))


def _line(row: MatrixRow, metric: Metric, name: str) -> tuple[str, ...]:
    from zoo.report import words

    gain = row.gains[metric]
    return (
        name,
        f"{row.correct[metric]:,}",
        f"{row.baseline_correct[metric]:,}",
        f"{gain.only_model:,}",
        f"{gain.only_baseline:,}",
        words.points(gain.gain),
        words.points_range(gain.interval),
        f"{gain.p_value:.3g}",
    )
