"""The gains of one net over another, preparation by preparation, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from zoo.claims.gain_matrix import GainMatrix, MatrixRow
from zoo.report import words
from zoo.vocabulary import METRIC_NAMES, Metric

if TYPE_CHECKING:
    from zoo.evidence.run import Result

_VERDICT_NOUNS = {
    "significant gain": "a significant gain",
    "significant loss": "a significant loss",
    "not significant": "no significant difference",
}


def result_settings(result: Result) -> str:
    """How a run of a net differs from its other runs: `caffe-warp256, crop 227`, and a reduced precision."""
    text = f"{result.flavour}, crop {result.preprocessing.get('crop')}"
    return text if result.precision == "float32" else f"{text}, {result.precision}"


def row_settings(row: MatrixRow) -> str:
    """The preparation of a row, as `result_settings` has it."""
    text = f"{row.flavour}, crop {row.crop}"
    return text if row.precision == "float32" else f"{text}, {row.precision}"


def row_names(rows: Sequence[MatrixRow]) -> list[str]:
    """The rows by their preparations, without the crop where all have the same."""
    names = [row_settings(row) for row in rows]
    if len({row.crop for row in rows}) > 1:
        return names
    return [name.replace(f", crop {row.crop}", "") for name, row in zip(names, rows, strict=True)]


def matrix_sentence(pair: GainMatrix, metric: Metric) -> str:
    """In which rows of the matrix the gain is significant, in one sentence."""
    counts = Counter(words.gain_verdict(row.gains[metric]) for row in pair.rows)
    of = "preparations" if len({row.precision for row in pair.rows}) == 1 else "precisions"
    under = "under" if of == "preparations" else "in"
    total = f"of these {len(pair.rows)} {of}"
    name = METRIC_NAMES[metric]
    if len(pair.rows) == 1:
        return f"{name}: {_VERDICT_NOUNS[next(iter(counts))]}."
    if len(counts) == 1:
        (verdict,) = counts
        each = "any" if verdict == "not significant" else "each"
        return f"{name}: {_VERDICT_NOUNS[verdict]} {under} {each} {total}."
    parts = [f"{_VERDICT_NOUNS[verdict]} {under} {count}" for verdict, count in counts.items()]
    return f"{name}: {', '.join(parts)} {total}."


def matrix_notes(pair: GainMatrix) -> list[str]:
    """What a reader of the matrix must know, in lines."""
    notes = []
    if pair.rows:
        counts = " and ".join(dict.fromkeys(words.images(row.n) for row in pair.rows))
        notes.append(f"Each row compares the two nets on the same {counts}, prepared in the same way.")
    notes += [
        f"{row.flavour}: the two nets differ in {' and '.join(row.own_settings)}, which belong to each net."
        for row in pair.rows
        if row.own_settings
    ]
    return notes + [f"not compared: {reason}" for reason in pair.not_paired]
