"""The tables of a report as rows of text, and as rows of values for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zoo.claims.gains import PairedGain, UnpairedGain
from zoo.claims.statistics import wilson_interval
from zoo.report import words
from zoo.report.accuracy import accuracy_tables
from zoo.report.pair_section import all_blocks, all_counts
from zoo.vocabulary import METRIC_NAMES, METRICS, Metric

if TYPE_CHECKING:
    from zoo.claims.audit import ClaimAudit
    from zoo.claims.reported import Reported, ReportedNet
    from zoo.report.tables import GainBlock, GainLine

Value = str | int | float | None
# The columns of the table of values. A row has what belongs to its kind; the other cells are empty.
COLUMNS = (
    "kind",
    "model",
    "baseline",
    "metric",
    "basis",
    "who",
    "preparation",
    "precision",
    "images",
    "right",
    "baseline_right",
    "won",
    "lost",
    "percent",
    "baseline_percent",
    "points",
    "low",
    "high",
    "p_value",
    "verdict",
)


@dataclass(frozen=True, slots=True)
class PlainTable:
    """A table with a title. `right`: the columns of numbers. `note`: what to know of it; may be empty."""

    title: str
    header: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    right: frozenset[int]
    note: str = ""


def plain_tables(found: Reported) -> list[PlainTable]:
    """Accuracies by metric, then the gains and counts of each pair."""
    tables = list(_accuracies(found.nets))
    for block in all_blocks(found):
        tables.append(_gains(block))
    rows = [
        (
            table.model,
            table.baseline,
            METRIC_NAMES[table.metric],
            f"{table.run.both:,}",
            f"{table.run.only_model:,}",
            f"{table.run.only_baseline:,}",
            f"{table.run.neither:,}",
            words.p_value(table.run.p_value).removeprefix("p = "),
        )
        for table in all_counts(found)
    ]
    if rows:
        header = (
            "model",
            "baseline",
            "metric",
            "both",
            "only model",
            "only baseline",
            "neither",
            "McNemar p",
        )
        tables.append(PlainTable("Right image by image", header, rows, frozenset(range(3, 8))))
    return tables


def _accuracies(nets: Sequence[ReportedNet]) -> Iterator[PlainTable]:
    header = ("net", "claimed", "measured", "accuracy", "95 % interval", "off", "verdict", "under")
    for table in accuracy_tables(nets):
        rows = [
            (
                line.net,
                line.claimed,
                line.measured,
                "" if line.share is None else words.percent(line.share),
                "" if line.interval is None else words.percent_range(line.interval),
                line.difference,
                line.verdict,
                line.where,
            )
            for line in table.lines
        ]
        title = f"{METRIC_NAMES[table.metric].capitalize()} accuracy, claimed and measured"
        yield PlainTable(title, header, rows, frozenset({1, 2, 3, 4, 5}))


def _gains(block: GainBlock) -> PlainTable:
    header = ("preparation", "who", "baseline %", "model %", "gain", "95 % interval", "verdict")
    rows = [
        (
            line.preparation,
            line.who,
            line.baseline,
            line.model,
            "" if line.value is None else words.points(line.value.gain),
            "" if line.value is None else words.points_range(line.value.interval),
            line.verdict,
        )
        for line in block.lines
    ]
    title = f"{METRIC_NAMES[block.metric].capitalize()}: gain of {block.model} over {block.baseline}"
    return PlainTable(title, header, rows, frozenset({2, 3, 4, 5}), block.sentence)


def value_rows(found: Reported) -> list[dict[str, Value]]:
    """One row for each number, unrounded: claims, accuracies, gains.

    Shares are in percent, gains in percentage points; low and high are the 95 % interval of the gain of a row
    that has one, else of the accuracy.
    kind: "claim", "accuracy" or "gain". basis of a gain: "published", "others" or "here".
    """
    rows: list[dict[str, Value]] = []
    for net in found.nets:
        rows += [] if net.audit is None else [_claim_row(net.name, claim) for claim in net.audit.claims]
        rows += [_accuracy_row(net, at, metric) for at in range(len(net.runs)) for metric in METRICS]
    for block in all_blocks(found):
        rows += [_gain_row(block, line) for line in block.lines if line.value is not None]
    return rows


def _claim_row(model: str, claim: ClaimAudit) -> dict[str, Value]:
    return {
        "kind": "claim",
        "model": model,
        "metric": METRIC_NAMES[claim.metric],
        "basis": "published",
        "images": claim.n,
        "right": claim.correct,
        "percent": claim.percent,
        "verdict": claim.verdict,
    }


def _accuracy_row(net: ReportedNet, at: int, metric: Metric) -> dict[str, Value]:
    result = net.runs[at].result
    correct = result.correct(metric)
    interval = wilson_interval(correct, result.n) if result.n else None
    return {
        "kind": "accuracy",
        "model": net.name,
        "metric": METRIC_NAMES[metric],
        "basis": "here",
        "who": words.place(result.runtime, result.device),
        "preparation": f"{result.flavour}, crop {result.preprocessing.get('crop')}",
        "precision": result.precision,
        "images": result.n,
        "right": correct,
        "percent": 100 * correct / result.n if result.n else None,
        "low": None if interval is None else 100 * interval.low,
        "high": None if interval is None else 100 * interval.high,
    }


def _gain_row(block: GainBlock, line: GainLine) -> dict[str, Value]:
    value = line.value
    assert value is not None
    row: dict[str, Value] = {
        "kind": "gain",
        "model": block.model,
        "baseline": block.baseline,
        "metric": METRIC_NAMES[block.metric],
        "basis": {"claimed": "published", "others": "others", "measured": "here"}[line.kind],
        "who": line.name,
        "preparation": line.preparation,
        "points": 100 * value.gain,
        "low": 100 * value.interval.low,
        "high": 100 * value.interval.high,
        "verdict": line.verdict,
    }
    return row | (_paired(value) if isinstance(value, PairedGain) else _unpaired(value))


def _paired(value: PairedGain) -> dict[str, Value]:
    right = value.both + value.only_model
    return {
        "images": value.n,
        "percent": 100 * right / value.n,
        "right": right,
        "baseline_right": value.both + value.only_baseline,
        "won": value.only_model,
        "lost": value.only_baseline,
        "baseline_percent": 100 * (value.both + value.only_baseline) / value.n,
        "p_value": value.p_value,
    }


def _unpaired(value: UnpairedGain) -> dict[str, Value]:
    return {
        "images": value.n,
        "right": value.correct,
        "baseline_right": value.baseline_correct,
        "percent": 100 * value.correct / value.n,
        "baseline_percent": 100 * value.baseline_correct / value.baseline_n,
    }
