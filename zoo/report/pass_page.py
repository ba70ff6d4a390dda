"""One pass over the images as an HTML page that needs nothing else: the nets, and the gains of each pair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from converters import __version__
from zoo.report import interval_plot, matrix, words
from zoo.report.page_filters import page_environment
from zoo.report.reproduce import reproduction
from zoo.vocabulary import METRICS

if TYPE_CHECKING:
    from zoo.claims.findings import Findings, PassFindings
    from zoo.claims.gain_matrix import GainMatrix
    from zoo.report.interval_plot import Axis


@dataclass(frozen=True, slots=True)
class PairSection:
    """A pair of nets with the axis of its plots and the sentences about it."""

    matrix: GainMatrix
    axis: Axis
    sentences: list[str]
    notes: list[str]


def render_pass(found: PassFindings) -> str:
    """The page as text."""
    template = page_environment().get_template("pass.html.jinja")
    return template.render(
        headline=_headline(found),
        problems=[(of_net.run.result.model, text) for of_net in found.nets for text in _problems(of_net)],
        nets=[(of_net.run.result.model, [run.result for _, run in of_net.runs]) for of_net in found.nets],
        pairs=[_section(pair) for pair in found.pairs],
        metrics=METRICS,
        commands=list(dict.fromkeys(reproduction(of_net.run.result.command) for of_net in found.nets)),
        environment=found.nets[0].run.result.environment,
        version=__version__,
    )


def _headline(found: PassFindings) -> str:
    results = [of_net.run.result for of_net in found.nets]
    where = " and ".join(dict.fromkeys(result.dataset for result in results))
    counts = _range([result.n for result in results])
    return f"{' and '.join(_few([result.model for result in results]))} on {counts} of {where}"


def _few(names: Sequence[str]) -> list[str]:
    return list(names) if len(names) <= 2 else [f"{len(names)} nets"]


def _range(counts: Sequence[int]) -> str:
    low, high = min(counts), max(counts)
    return words.images(low) if low == high else f"{low:,} to {words.images(high)}"


def _problems(of_net: Findings) -> list[str]:
    found = [] if of_net.audit is None else list(of_net.audit.problems)
    if of_net.regression is not None and not of_net.regression.holds:
        found.append(f"against the earlier run: {of_net.regression.verdict()}")
    return found


def _section(pair: GainMatrix) -> PairSection:
    intervals = [gain.interval for row in pair.rows for gain in row.gains.values()]
    sentences = [matrix.matrix_sentence(pair, metric) for metric in METRICS] if pair.rows else []
    return PairSection(pair, interval_plot.axis_over(intervals), sentences, matrix.matrix_notes(pair))
