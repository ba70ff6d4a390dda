"""The accuracies of nets, claimed and measured, as the lines of one dot plot for each metric."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zoo.claims.statistics import Interval, wilson_interval
from zoo.report import words
from zoo.report.interval_plot import Axis, accuracy_axis
from zoo.report.tables import ClaimBlock, MeasuredLine, claim_blocks
from zoo.vocabulary import METRICS, Metric

if TYPE_CHECKING:
    from zoo.claims.reported import ReportedNet
    from zoo.evidence.run import Result

NOT_IN_CATALOG = "not in the catalog"


@dataclass(frozen=True, slots=True)
class AccuracyLine:
    """One net and one distinct measurement of it, or none.

    first: whether it is the first line of its net; `height` lines belong to it.
    facts: framework and trust. claimed, measured: counts in words, empty where there is none.
    derivation: what the claim follows from. where: preparation and runtimes of the measurement.
    claimed_share, share, interval: the same as fractions of 1.
    difference: images off, signed; empty if the measurement says nothing about the claim.
    remark: why, or what it says all the same.
    """

    net: str
    first: bool
    height: int
    facts: str
    claimed: str = ""
    derivation: str = ""
    claimed_share: float | None = None
    measured: str = ""
    where: str = ""
    share: float | None = None
    interval: Interval | None = None
    difference: str = ""
    verdict: str = "not measured"
    remark: str = ""


@dataclass(frozen=True, slots=True)
class AccuracyTable:
    """The lines of one metric on one axis.

    summary: one sentence where no two numbers differ, so that the lines can be folded; else empty.
    """

    metric: Metric
    axis: Axis
    lines: list[AccuracyLine]
    summary: str = ""


def accuracy_tables(nets: Sequence[ReportedNet]) -> list[AccuracyTable]:
    """One table for each metric that is claimed or measured."""
    found = []
    for metric in METRICS:
        lines = [line for net in nets for line in _lines(net, metric)]
        if lines:
            found.append(AccuracyTable(metric, accuracy_axis(_ends(lines)), lines, _summary(lines)))
    return found


def _lines(net: ReportedNet, metric: Metric) -> list[AccuracyLine]:
    blocks = [] if net.audit is None else claim_blocks(net.audit)
    claims = [block for block in blocks if block.claim.metric == metric]
    if claims:
        return [line for block in claims for line in _of_claim(net, block)]
    main = net.main
    return [] if main is None else [_of_run(net, main.result, metric)]


def _of_claim(net: ReportedNet, block: ClaimBlock) -> Iterator[AccuracyLine]:
    """What is comparable with the claim; where nothing is, the main run. Other preparations have panels."""
    claim = block.claim
    comparable = [line for line in block.lines if line.run.verdict != "not measured"]
    main = None if net.main is None else net.main.result.flavour
    others = [line for line in block.lines if line.run.flavour == main][:1]
    lines: Sequence[MeasuredLine | None] = comparable or others or [None]
    share = claim.percent / 100 if claim.correct is None else claim.correct / claim.n
    for at, line in enumerate(lines):
        first, height = at == 0, len(lines)
        head = (net.name, first, height, _facts(net), words.claimed(claim), words.derivation(claim))
        if line is None:
            yield AccuracyLine(*head, share)
            continue
        run = line.run
        yield AccuracyLine(
            *head,
            share,
            f"{run.correct:,} of {run.n:,}",
            f"{run.flavour}, {line.runtimes}",
            run.correct / run.n,
            run.interval,
            "" if run.difference is None else words.signed(run.difference),
            run.verdict,
            "" if run.difference is not None else run.remark,
        )


def _of_run(net: ReportedNet, result: Result, metric: Metric) -> AccuracyLine:
    correct = result.correct(metric)
    return AccuracyLine(
        net.name,
        True,
        1,
        _facts(net),
        measured=f"{correct:,} of {result.n:,}",
        where=f"{result.flavour}, {words.place(result.runtime, result.device)}",
        share=correct / result.n,
        interval=wilson_interval(correct, result.n),
        verdict="nothing claimed",
    )


def _facts(net: ReportedNet) -> str:
    if net.audit is None:
        return NOT_IN_CATALOG
    return f"{words.FRAMEWORK_NAMES[net.audit.framework]}, {words.trust(net.audit)}"


def _ends(lines: Sequence[AccuracyLine]) -> Iterator[float]:
    for line in lines:
        yield from (share for share in (line.claimed_share, *(line.interval or ())) if share is not None)


def _summary(lines: Sequence[AccuracyLine]) -> str:
    """All nets have one and the same accuracy, claimed and measured: there is nothing to look at."""
    shares = {share for line in lines for share in (line.claimed_share, line.share) if share is not None}
    nets = {line.net for line in lines}
    measured = all(line.share is not None for line in lines)
    if len(shares) != 1 or len(nets) < 2 or not measured or any(line.verdict == "differs" for line in lines):
        return ""
    count = "both nets" if len(nets) == 2 else f"all {len(nets)} nets"
    has_claims = any(line.claimed_share is not None for line in lines)
    of = "claimed and measured" if has_claims else "measured"
    return f"{words.percent(next(iter(shares)))} for {count}, {of}"
