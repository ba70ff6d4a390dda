"""One pass over the images as an HTML page that needs nothing else: the nets, and the gains of each pair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from converters import __version__
from zoo.claims.gain_matrix import gain_matrix
from zoo.claims.reported import Reported, ReportedNet, pair_of
from zoo.report import interval_plot, matrix, words
from zoo.report.galleries import pair_galleries, surest_mistakes
from zoo.report.page_filters import page_environment
from zoo.report.reproduce import reproduction
from zoo.report.thumbnails import Thumbnails, make_thumbnails
from zoo.vocabulary import METRICS

if TYPE_CHECKING:
    from zoo.claims.findings import Findings, PassFindings
    from zoo.claims.gain_matrix import GainMatrix
    from zoo.report.galleries import Gallery
    from zoo.report.interval_plot import Axis


@dataclass(frozen=True, slots=True)
class PairSection:
    """A pair of nets with the axis of its plots, the sentences about it, and what images tell them apart."""

    matrix: GainMatrix
    axis: Axis
    sentences: list[str]
    notes: list[str]
    galleries: list[Gallery]


def pass_thumbnails(found: PassFindings) -> Thumbnails:
    """Small copies of the images that the page is about, of those that are at hand."""
    compared = _compared(found)
    galleries = [gallery for pair in compared.pairs for gallery in pair_galleries(pair)]
    mistakes = surest_mistakes(compared)
    cards = [card for gallery in (*galleries, *([mistakes] if mistakes else [])) for card in gallery.cards]
    return make_thumbnails([of_net.run.result for of_net in found.nets], cards)


def render_pass(found: PassFindings, thumbnails: Thumbnails | None = None) -> str:
    """The page as text.

    thumbnails: of the images on it; by default none.
    """
    compared = _compared(found)
    template = page_environment().get_template("pass.html.jinja")
    return template.render(
        headline=_headline(found),
        problems=[(of_net.run.result.model, text) for of_net in found.nets for text in _problems(of_net)],
        nets=[(of_net.run.result.model, [run.result for _, run in of_net.runs]) for of_net in found.nets],
        pairs=_sections(found, compared),
        mistakes=surest_mistakes(compared),
        thumbnails=thumbnails or Thumbnails(),
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


def _compared(found: PassFindings) -> Reported:
    """The nets of the pass, and those pairs of which both ran over the same images."""
    nets = {
        of_net.run.result.model: ReportedNet(
            of_net.run.result.model, [run for _, run in of_net.runs], label_order=of_net.label_order
        )
        for of_net in found.nets
    }
    pairs = [pair_of(nets[pair.model], nets[pair.baseline]) for pair in found.pairs]
    if found.other is not None:
        other = ReportedNet(found.other.result.model, [found.other])
        pairs += [pair_of(net, other) for net in nets.values()]
    return Reported(list(nets.values()), pairs)


def _sections(found: PassFindings, compared: Reported) -> list[PairSection]:
    matrices = list(found.pairs)
    if found.other is not None:
        matrices += [gain_matrix([of_net.run], [found.other]) for of_net in found.nets]
    # `compared` has its pairs in the same order.
    galleries = [pair_galleries(pair) for pair in compared.pairs]
    return [_section(pair, shown) for pair, shown in zip(matrices, galleries, strict=True)]


def _section(pair: GainMatrix, galleries: list[Gallery]) -> PairSection:
    intervals = [gain.interval for row in pair.rows for gain in row.gains.values()]
    sentences = [matrix.matrix_sentence(pair, metric) for metric in METRICS] if pair.rows else []
    axis = interval_plot.axis_over(intervals)
    return PairSection(pair, axis, sentences, matrix.matrix_notes(pair), galleries)
