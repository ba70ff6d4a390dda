"""What is known of a claimed gain, in sentences for a person."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from zoo.claims.gains import PairedGain
from zoo.report import words
from zoo.vocabulary import METRIC_NAMES

if TYPE_CHECKING:
    from zoo.claims.audit import Audit
    from zoo.claims.prepared_gains import GainsByPreparation, PreparedGain


def standing(found: GainsByPreparation) -> str:
    """Under which preparation the claimed gain stands or shrinks, or that it is unknown; for one metric."""
    measured = _measured(found.rows)
    name = METRIC_NAMES[found.metric].capitalize()
    if found.standing == "nothing claimed":
        clauses = [_nothing_claimed(found), *_measured_clauses(measured)]
    elif found.standing == "unknown":
        clauses = [_unknown(found), *_measured_alone(found)]
    else:
        clauses = list(_verdict_clauses(found, measured))
    return f"{name}: " + " ".join(f"{clause[:1].upper()}{clause[1:]}." for clause in clauses)


def gain_sentences(audit: Audit) -> list[str]:
    """The gains of a model over its baseline: as measured here, and what is known of the claimed ones.

    Equal runs give one sentence. A metric on which the two nets agree for every image gives none.
    """
    sentences = []
    for gain in audit.gains:
        clauses = {
            words.paired_gain(pair): words.gain_verdict(pair)
            for pair in gain.measured
            if pair.only_model or pair.only_baseline
        }
        name = METRIC_NAMES[gain.metric]
        sentences += [f"{name}: {clause}: {verdict}" for clause, verdict in clauses.items()]
    claimed = [found for found in audit.by_preparation if found.standing != "nothing claimed"]
    return sentences + [standing(found) for found in claimed]


def _nothing_claimed(found: GainsByPreparation) -> str:
    claimed = found.claimed
    if claimed is None:
        return "no gain is published"
    if not claimed.significant:
        return f"no significant gain is published ({words.points(claimed.gain)} points)"
    return f"what is published is a loss of {_size(claimed.gain)} points"


def _unknown(found: GainsByPreparation) -> str:
    assert found.claimed is not None
    return (
        f"whether the claimed gain of {_size(found.claimed.gain)} points stands is unknown: nobody else is "
        "known to have measured both nets under one preparation"
    )


def _measured_alone(found: GainsByPreparation) -> Iterator[str]:
    """What one other party found for one of the nets, under a preparation that it states."""
    for row in found.rows:
        for net, figure in (("the model", row.model), ("the baseline", row.baseline)):
            alone = row.gain is None and row.preparation.words is not None
            if alone and figure is not None and figure.change is not None:
                yield (
                    f"{net} alone has {words.as_published(figure)} % {_where(row)}, "
                    f"{words.points(figure.change)} points from its claim"
                )


def _verdict_clauses(found: GainsByPreparation, measured: Sequence[PreparedGain]) -> Iterator[str]:
    """One clause for each measurement, but several runs here share one for each verdict."""
    here = [row for row in measured if row.basis == "here"]
    alone = [row for row in measured if row not in here or len(here) == 1]
    yield from (_verdict_clause(found, row) for row in alone)
    if len(here) < 2 or found.claimed is None:
        return
    for verdict in dict.fromkeys(row.verdict for row in here):
        gains = [f"{_terms(row)} ({_gain(row)})" for row in here if row.verdict == verdict]
        says = "is undecided" if verdict == "undecided" else verdict
        claim = f"the claimed gain of {_size(found.claimed.gain)} points"
        yield f"measured here, {claim} {says} under {words.listed(gains)}"


def _verdict_clause(found: GainsByPreparation, row: PreparedGain) -> str:
    claimed, gain = found.claimed, row.gain
    assert claimed is not None
    assert gain is not None
    head, size = f"{_where(row)} the claimed gain of {_size(claimed.gain)} points", words.points(gain.gain)
    interval = words.points_range(gain.interval)
    if row.verdict == "stands":
        return f"{head} stands: {size} ({interval})"
    if row.verdict == "undecided":
        return f"{head} is undecided: {size} ({interval}) fits it, and fits no gain at all"
    significance = "significant" if gain.significant else "not significant"
    return f"{head} shrinks to {size} ({interval}, {significance}){_share_of_preparation(found, row)}"


def _share_of_preparation(found: GainsByPreparation, row: PreparedGain) -> str:
    """How much of the claimed gain comes with the preparation, and what each net wins or loses by it."""
    published = next(line for line in found.rows if line.basis == "published")
    model, baseline = row.model, row.baseline
    if row.preparation.is_same_as(published.preparation) or model is None or baseline is None:
        return ""
    if model.change is None or baseline.change is None:
        return ""
    return (
        f". The other {_size(baseline.change - model.change)} points come with the preparation: with it "
        f"{found.baseline} {_moves(baseline.change)} and {found.model} {_moves(model.change)}"
    )


def _measured_clauses(measured: Sequence[PreparedGain]) -> Iterator[str]:
    """What was measured where nothing is claimed; all that is not significant in one clause."""
    gains = [(row, row.gain) for row in measured if row.gain is not None]
    small = [row for row, gain in gains if not gain.significant]
    several = len(small) > 1
    for row, gain in gains:
        if gain.significant or not several:
            verdict = words.gain_verdict(gain)
            yield f"{_where(row)} it is {_gain(row)} ({words.points_range(gain.interval)}): {verdict}"
    if several:
        parts = words.listed([f"{_terms(row)} ({_gain(row)})" for row in small])
        place = "measured here" if all(row.basis == "here" for row in small) else "measured"
        yield f"{place}, it is not significant under {parts}"


def _gain(row: PreparedGain) -> str:
    return "" if row.gain is None else words.points(row.gain.gain)


def _terms(row: PreparedGain) -> str:
    """The preparation as exactly as it is known."""
    return row.preparation.terms or row.preparation.words or "one that is not stated"


def _where(row: PreparedGain) -> str:
    if row.basis == "here":
        return f"measured here under {_terms(row)}"
    place = "one preparation, not stated," if row.preparation.words is None else row.preparation.words
    figures = [figure for figure in (row.model, row.baseline) if figure is not None]
    who = " and ".join(dict.fromkeys(figure.who for figure in figures))
    return f"under {place} ({who})"


def _measured(rows: Sequence[PreparedGain]) -> list[PreparedGain]:
    """The gains that say something of the claimed one; runs that found the same with another runtime once."""
    chosen: dict[object, PreparedGain] = {}
    for row in rows:
        if row.basis == "published" or row.gain is None or row.other_images is not None:
            continue
        gain = row.gain
        key = (gain.only_model, gain.only_baseline, gain.n) if isinstance(gain, PairedGain) else gain
        chosen.setdefault((row.basis, row.preparation, key), row)
    return list(chosen.values())


def _moves(change: float) -> str:
    size = _size(change)
    if not float(size):
        return "stays the same"
    return f"{'wins' if change > 0 else 'loses'} {size}"


def _size(points: float) -> str:
    return f"{abs(100 * points):.2f}"
