"""What stands in the rows of the page's tables."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from zoo.claims.audit import Audit, ClaimAudit
from zoo.claims.gains import ClaimedGain, Gain, PairedGain
from zoo.claims.measurement import Measurement
from zoo.report import words
from zoo.schema import Metric


@dataclass(frozen=True, slots=True)
class MeasuredLine:
    """Runs that found the same, as one line."""

    run: Measurement
    runtimes: str


@dataclass(frozen=True, slots=True)
class ClaimRows:
    """One claim with its lines; none of them if nothing was measured."""

    claim: ClaimAudit
    lines: list[MeasuredLine]
    height: int


@dataclass(frozen=True, slots=True)
class GainLine:
    """One interval of a comparison: as claimed, or as measured."""

    kind: str
    value: ClaimedGain | PairedGain
    basis: str


@dataclass(frozen=True, slots=True)
class GainRows:
    """All intervals of one comparison."""

    model: str
    baseline: str
    metric: Metric
    lines: list[GainLine]


@dataclass(frozen=True, slots=True)
class PairTable:
    """Who was right on which image."""

    model: str
    baseline: str
    metric: Metric
    runtimes: str
    run: PairedGain
    note: str


def claim_rows(audit: Audit) -> list[ClaimRows]:
    """The claims of one model; equal findings of different runtimes merged, in order of appearance."""
    rows = []
    for claim in audit.claims:
        places: dict[Measurement, list[str]] = {}
        for run in claim.measurements:
            finding = replace(run, runtime="", device="")
            places.setdefault(finding, []).append(words.place(run.runtime, run.device))
        lines = [MeasuredLine(run, _join(names)) for run, names in places.items()]
        rows.append(ClaimRows(claim, lines, max(1, len(lines))))
    return rows


def gain_rows(audit: Audit) -> list[GainRows]:
    """The comparisons of one model with its baseline."""
    rows = []
    for gain in audit.gains:
        lines = []
        if gain.claimed is not None:
            counts = "" if gain.claimed.exact else ", from rounded percentages"
            lines.append(GainLine("claimed", gain.claimed, f"as published{counts}"))
        for pair, runtimes in merged_pairs(gain):
            basis = f"{runtimes}, {words.images(pair.n)}, {words.p_value(pair.p_value)}"
            lines.append(GainLine("measured", pair, basis))
        rows.append(GainRows(audit.model, gain.baseline, gain.metric, lines))
    return rows


def pair_tables(audit: Audit) -> list[PairTable]:
    """The 2x2 tables of one model and its baseline, without those in which no image is wrong."""
    return [
        PairTable(audit.model, gain.baseline, gain.metric, runtimes, pair, _pair_note(pair))
        for gain in audit.gains
        for pair, runtimes in merged_pairs(gain)
        if pair.both < pair.n
    ]


def merged_pairs(gain: Gain) -> list[tuple[PairedGain, str]]:
    """The measured pairs, equal ones merged, each with the names of what it was measured with."""
    places: dict[PairedGain, list[str]] = {}
    for pair in gain.measured:
        places.setdefault(replace(pair, runtime="", device=""), []).append(
            words.place(pair.runtime, pair.device)
        )
    return [(pair, _join(names)) for pair, names in places.items()]


def _pair_note(pair: PairedGain) -> str:
    discordant = pair.only_model + pair.only_baseline
    differ = "differ" if discordant != 1 else "differs"
    return (
        f"{words.images(discordant)} {differ} in verdict; exact McNemar {words.p_value(pair.p_value)}, "
        f"{words.gain_verdict(pair)}. With this many images and this share of differing ones, a true gain "
        f"shows up in 80 % of cases from {100 * pair.minimum_detectable:.2f} points on."
    )


def _join(names: Iterable[str]) -> str:
    return " and ".join(dict.fromkeys(names))
