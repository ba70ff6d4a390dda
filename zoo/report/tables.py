"""The content of the tables on the page and on the terminal."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TypeVar

from zoo.claims.audit import Audit, ClaimAudit
from zoo.claims.gains import Gain, PairedGain, UnpairedGain
from zoo.claims.measurement import Measurement
from zoo.report import words
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
    """One gain with its interval. `kind` is "claimed" or "measured", `basis` says what it rests on."""

    kind: str
    value: UnpairedGain | PairedGain
    basis: str


@dataclass(frozen=True, slots=True)
class GainBlock:
    """All gains of a model over its baseline in one metric."""

    model: str
    baseline: str
    metric: Metric
    lines: list[GainLine]


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
    """The gains of one model over its baseline."""
    blocks = []
    for gain in audit.gains:
        lines = []
        if gain.claimed is not None:
            counts = "" if gain.claimed.exact else ", from rounded percentages"
            lines.append(GainLine("claimed", gain.claimed, f"as published{counts}"))
        for pair, runtimes in merged_pairs(gain):
            basis = f"{runtimes}, {words.images(pair.n)}, {words.p_value(pair.p_value)}"
            lines.append(GainLine("measured", pair, basis))
        blocks.append(GainBlock(audit.model, gain.baseline, gain.metric, lines))
    return blocks


def pair_tables(audit: Audit) -> list[PairTable]:
    """The 2x2 tables of one model and its baseline; none for pairs that are right on every image."""
    return [
        PairTable(audit.model, gain.baseline, gain.metric, runtimes, pair, _pair_note(pair))
        for gain in audit.gains
        for pair, runtimes in merged_pairs(gain)
        if pair.both < pair.n
    ]


def merged_pairs(gain: Gain) -> list[tuple[PairedGain, str]]:
    """The measured gains, each once, with the runtimes that measured it."""
    return _merged(gain.measured)


def _merged(findings: Iterable[Finding]) -> list[tuple[Finding, str]]:
    """Equal findings as one, in order of appearance, each with the names of its runtimes."""
    runtimes: dict[Finding, list[str]] = {}
    for found in findings:
        name = words.place(found.runtime, found.device)
        runtimes.setdefault(replace(found, runtime="", device=""), []).append(name)
    return [(found, " and ".join(dict.fromkeys(names))) for found, names in runtimes.items()]


def _pair_note(pair: PairedGain) -> str:
    discordant = pair.only_model + pair.only_baseline
    differ = "differ" if discordant != 1 else "differs"
    return (
        f"{words.images(discordant)} {differ} in verdict; exact McNemar {words.p_value(pair.p_value)}, "
        f"{words.gain_verdict(pair)}. With this many images and this share of differing ones, a true gain "
        f"shows up in 80 % of cases from {100 * pair.minimum_detectable:.2f} points on."
    )
