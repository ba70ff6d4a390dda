"""A run as Markdown, for the summary page of a CI job or a comment on a pull request."""

from __future__ import annotations

from collections.abc import Sequence

from zoo.claims.gain_matrix import GainMatrix
from zoo.claims.gains import PairedGain, UnpairedGain
from zoo.claims.measurement import Accuracy
from zoo.evidence.run import Result
from zoo.report import words
from zoo.report.cases import TestCase
from zoo.report.tables import GainBlock
from zoo.vocabulary import METRIC_NAMES

MARKS = {"passed": "holds", "failed": "**does not hold**", "skipped": "not decided", "error": "**error**"}


def markdown(
    result: Result,
    accuracies: Sequence[Accuracy],
    cases: Sequence[TestCase],
    gains: Sequence[GainBlock] = (),
) -> str:
    """A heading, tables of the counts with intervals and of the test cases, and the gains by preparation."""
    place = f"{words.place(result.runtime, result.device)}, {result.precision}, {result.flavour}"
    lines = [
        f"### {cell(result.model)} on {cell(result.dataset)}",
        "",
        f"{words.images(result.n)} with {place}",
        "",
        "| metric | right | of | accuracy | 95 % interval (exact) |",
        "|---|---:|---:|---:|---|",
        *(
            f"| {METRIC_NAMES[found.metric]} | {found.correct:,} | {found.n:,} "
            f"| {words.percent(found.correct / found.n)} | {words.percent_range(found.exact)} |"
            for found in accuracies
        ),
    ]
    if cases:
        lines += ["", "| checked | | found |", "|---|---|---|"]
        lines += [
            f"| {case.group}: {cell(case.name)} | {MARKS[case.outcome]} | {cell(case.detail)} |"
            for case in cases
        ]
    lines += [line for gain in gains for line in gain_markdown(gain)]
    return "\n".join(lines) + "\n"


def gain_markdown(gain: GainBlock) -> list[str]:
    """Lines with a heading, a table of the gains by preparation, and what follows from them."""
    rows = [
        f"| {cell(line.preparation)} | {cell(line.who)} | {line.baseline} | {line.model} "
        + ("| | | |" if line.value is None else _gain_cells(line.value))
        for line in gain.lines
    ]
    return [
        "",
        f"#### {METRIC_NAMES[gain.metric]}: gain over {cell(gain.baseline)}, by preparation of the images",
        "",
        "| preparation | who | baseline % | model % | gain | 95 % interval | |",
        "|---|---|---:|---:|---:|---|---|",
        *rows,
        "",
        cell(gain.sentence),
    ]


def _gain_cells(value: UnpairedGain | PairedGain) -> str:
    return (
        f"| {words.points(value.gain)} | {words.points_range(value.interval)} | {words.gain_verdict(value)} |"
    )


def cell(text: str) -> str:
    """The text on one line, with escapes for what would end the cell or be markup."""
    flat = " ".join(text.split())
    return "".join(f"\\{c}" if c in "\\|`*_<>[]#" else c for c in flat)


def markdown_matrix(pair: GainMatrix) -> str:
    """A heading and a table of the gains of one net over another, a line for each preparation and metric."""
    lines = [f"### {cell(pair.model)} over {cell(pair.baseline)}, image by image", ""]
    if pair.rows:
        lines += [
            "| preparation | metric | right | baseline | won | lost | points | 95 % interval | McNemar |",
            "|---|---|---:|---:|---:|---:|---:|---:|---|",
        ]
    for row in pair.rows:
        name = row.flavour if row.precision == "float32" else f"{row.flavour}, {row.precision}"
        lines += [
            f"| {cell(name)} | {METRIC_NAMES[metric]} | {row.correct[metric]:,} "
            f"| {row.baseline_correct[metric]:,} | {gain.only_model:,} | {gain.only_baseline:,} "
            f"| {words.points(gain.gain)} | {words.points_range(gain.interval)} "
            f"| {words.p_value(gain.p_value)} |"
            for metric, gain in row.gains.items()
        ]
    lines += [*([""] if pair.rows and pair.not_paired else []), *map(cell, pair.not_paired)]
    return "\n".join(lines) + "\n"
