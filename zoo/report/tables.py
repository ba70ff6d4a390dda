"""The content of the tables on the page and on the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from zoo.claims.audit import Audit, ClaimAudit
from zoo.claims.gains import Gain, PairedGain, UnpairedGain
from zoo.claims.measurement import Measurement
from zoo.claims.prepared_gains import GainsByPreparation, PreparedGain
from zoo.report import words
from zoo.report.standing import standing
from zoo.vocabulary import Metric

Finding = TypeVar("Finding", Measurement, PairedGain)


@dataclass(frozen=True, slots=True)
class MeasuredLine:
    """The runs that measured the same, as one line; `runtimes` names them."""

    run: Measurement
    runtimes: str


@dataclass(frozen=True, slots=True)
class ClaimBlock:
    """One claim with a line per distinct measurement. `height` is the number of table rows, at least 1."""

    claim: ClaimAudit
    lines: list[MeasuredLine]
    height: int


@dataclass(frozen=True, slots=True)
class GainLine:
    """Model and baseline under one preparation, with the gain where both were measured.

    kind: "claimed", "others" or "measured", for published, by others, by runs here.
    preparation: in words; lines with the same ones stand together.
    name: who measured, or `here` with the flavour.
    baseline, model: the accuracies in percent, empty where there is none.
    basis: what the line rests on. verdict: whether the gain is significant, empty without a gain.
    """

    kind: str
    preparation: str
    name: str
    baseline: str
    model: str
    value: UnpairedGain | PairedGain | None
    basis: str
    verdict: str

    @property
    def who(self) -> str:
        """Who measured and what that rests on, where `name` and `basis` do not stand apart."""
        return f"{self.name}: {self.basis}" if self.kind == "measured" else self.basis


@dataclass(frozen=True, slots=True)
class GainBlock:
    """All that is known of the gain of a model over its baseline in one metric, and what follows.

    standing: what became of a significant published gain; "" where nothing is published.
    """

    model: str
    baseline: str
    metric: Metric
    lines: list[GainLine]
    sentence: str
    standing: str = ""


@dataclass(frozen=True, slots=True)
class PairTable:
    """How often a model and its baseline were right, both, one or neither, in runs over the same images."""

    model: str
    baseline: str
    metric: Metric
    runtimes: str
    run: PairedGain
    note: str


def claim_blocks(audit: Audit) -> list[ClaimBlock]:
    """The claims of one model; equal measurements with different runtimes are one line."""
    blocks = []
    for claim in audit.claims:
        lines = [MeasuredLine(run, runtimes) for run, runtimes in _merged(claim.measurements)]
        blocks.append(ClaimBlock(claim, lines, max(1, len(lines))))
    return blocks


def gain_blocks(audit: Audit) -> list[GainBlock]:
    """The gains of one model over its baseline by preparation; equal runs with two runtimes are one line."""
    return gain_blocks_of(audit.by_preparation)


def gain_blocks_of(gains: Sequence[GainsByPreparation]) -> list[GainBlock]:
    """As `gain_blocks`, without an audit."""
    return [
        GainBlock(
            found.model,
            found.baseline,
            found.metric,
            gain_lines(found.rows),
            standing(found),
            found.standing,
        )
        for found in gains
    ]


def gain_lines(rows: Sequence[PreparedGain]) -> list[GainLine]:
    """One line per row, those of one preparation together, those of others that do not state theirs last."""
    lines = [_gain_line(row, runtimes) for row, runtimes in _merged_rows(rows)]
    order = list(dict.fromkeys(line.preparation for line in lines if line.preparation != words.NOT_STATED))
    order.append(words.NOT_STATED)
    return sorted(lines, key=lambda line: order.index(line.preparation))


def _gain_line(row: PreparedGain, runtimes: str) -> GainLine:
    gain = row.gain
    figures = [figure for figure in (row.model, row.baseline) if figure is not None]
    names = list(dict.fromkeys(figure.who for figure in figures))
    kinds = {"published": "claimed", "others": "others", "here": "measured"}
    if isinstance(gain, PairedGain):
        names = [f"here, {(row.preparation.terms or '').partition(',')[0]}"]
        basis = f"{runtimes}, {words.images(gain.n)}, {words.p_value(gain.p_value)}"
        if row.other_images is not None:
            basis += f", other images: {row.other_images}"
    else:
        basis = ", baseline by ".join(names)
        basis += "" if all(figure.exact for figure in figures) else ", from rounded percentages"
    return GainLine(
        kind=kinds[row.basis],
        preparation=words.preparation(row),
        name=", baseline by ".join(names),
        baseline=words.as_published(row.baseline),
        model=words.as_published(row.model),
        value=gain,
        basis=basis,
        verdict="" if gain is None else words.gain_verdict(gain),
    )


def _merged_rows(rows: Sequence[PreparedGain]) -> list[tuple[PreparedGain, str]]:
    """Equal runs as one row, in order of appearance, each with the names of its runtimes."""
    runtimes: dict[PreparedGain, list[str]] = {}
    for row in rows:
        key, name = row, ""
        if isinstance(row.gain, PairedGain) and row.model is not None and row.baseline is not None:
            name = words.place(row.gain.runtime, row.gain.device)
            key = replace(
                row,
                model=replace(row.model, who=""),
                baseline=replace(row.baseline, who=""),
                gain=replace(row.gain, runtime="", device=""),
            )
        runtimes.setdefault(key, []).append(name)
    return [(row, words.listed(list(dict.fromkeys(names)))) for row, names in runtimes.items()]


def merged_pairs(gain: Gain) -> list[tuple[PairedGain, str]]:
    """The measured gains, each once, with the runtimes that measured it."""
    return _merged(gain.measured)


def _merged(findings: Iterable[Finding]) -> list[tuple[Finding, str]]:
    """Equal findings as one, in order of appearance, each with the names of its runtimes."""
    runtimes: dict[Finding, list[str]] = {}
    for found in findings:
        name = words.place(found.runtime, found.device)
        runtimes.setdefault(replace(found, runtime="", device=""), []).append(name)
    return [(found, words.listed(list(dict.fromkeys(names)))) for found, names in runtimes.items()]


def pair_note(pair: PairedGain) -> str:
    """What the 2x2 counts of two nets over the same images say, in two sentences."""
    discordant = pair.only_model + pair.only_baseline
    differ = "differ" if discordant != 1 else "differs"
    return (
        f"{words.images(discordant)} {differ} in verdict; exact McNemar {words.p_value(pair.p_value)}, "
        f"{words.gain_verdict(pair)}. So many images, and so many differing ones, reveal a true gain "
        f"in 80 % of cases from {100 * pair.minimum_detectable:.2f} points on."
    )
