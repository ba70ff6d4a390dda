"""The report as one HTML file that needs nothing else.

`page.html.jinja` is the structure, `page.css` the style; the other modules of this folder fill tables and
drawings. The page loads no script, font or image: it can be mailed, archived and opened offline.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from converters import __version__, atomic_write
from zoo.files import cannot_write
from zoo.report import preparation_panels, weight_histogram, words
from zoo.report.accuracy import accuracy_tables
from zoo.report.environments import common_environment
from zoo.report.galleries import surest_mistakes
from zoo.report.page_filters import page_environment
from zoo.report.pair_section import pair_sections
from zoo.report.parity_table import parity_table
from zoo.report.reproduce import command_of_report
from zoo.report.thumbnails import Thumbnails, make_thumbnails
from zoo.report.weight_histogram import WeightHistograms

if TYPE_CHECKING:
    from zoo.claims.reported import Reported, ReportedPair
    from zoo.store.cache import Cache
    from zoo.verification.parity import Parity


@dataclass(frozen=True, slots=True)
class Illustrations:
    """What a page shows beside the numbers, taken from files that may or may not be at hand.

    histograms: of the weights of a model and its baseline, by both names.
    """

    thumbnails: Thumbnails = field(default_factory=Thumbnails)
    histograms: Mapping[tuple[str, str], WeightHistograms] = field(default_factory=dict)


def illustrations(found: Reported, cache: Cache, *, images: bool = True) -> Illustrations:
    """Thumbnails of the images that the page is about, and the histograms of the weights of its pairs.

    images: False leaves the thumbnails out.
    """
    galleries = [gallery for section in pair_sections(found) for gallery in section.galleries]
    mistakes = surest_mistakes(found)
    cards = [card for gallery in (*galleries, *([mistakes] if mistakes else [])) for card in gallery.cards]
    results = [result for net in found.nets for result in net.results]
    histograms = {
        (pair.model.name, pair.baseline.name): drawn
        for pair in found.pairs
        if (drawn := weight_histogram.histograms_of(pair.model, pair.baseline, cache)) is not None
    }
    return Illustrations(make_thumbnails(results, cards) if images else Thumbnails(), histograms)


def write_page(
    path: Path,
    found: Reported,
    parity: Sequence[Parity] = (),
    shown: Illustrations | None = None,
    command: str | None = None,
) -> None:
    """Write the page, completely or not at all. UsageError if it cannot be written there."""
    text = render(found, parity, shown, command)
    try:
        with atomic_write(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    except OSError as error:
        raise cannot_write(path, "the page", error) from error


def render(
    found: Reported,
    parity: Sequence[Parity] = (),
    shown: Illustrations | None = None,
    command: str | None = None,
) -> str:
    """The page as text.

    found: the nets in the order of the page, and the pairs.
    parity: the converted forms compared with the original frameworks, where that was checked.
    shown: thumbnails and histograms; by default none.
    command: what gives the whole page again; by default the commands of the runs.
    """
    results = [result for net in found.nets for result in net.results]
    shared, differing = common_environment(results)
    return (
        page_environment()
        .get_template("page.html.jinja")
        .render(
            headline=headline(found, parity),
            problems=words.problems(found.audits, parity),
            overview=_overview(found),
            nets=found.nets,
            audits=found.audits,
            accuracies=accuracy_tables(found.nets),
            panels=preparation_panels.accuracy_panels(found.nets),
            pairs=pair_sections(found),
            mistakes=surest_mistakes(found),
            shown=shown or Illustrations(),
            conflicts=[(audit.model, conflict) for audit in found.audits for conflict in audit.conflicts],
            parity=parity_table(parity),
            environment=shared,
            environment_differs=differing,
            reproduce=command or command_of_report(found),
            version=__version__,
        )
    )


def headline(found: Reported, parity: Sequence[Parity] = ()) -> str:
    """Whether the claims hold and whether any gain is significant; of nets without claims what was run."""
    if found.audits:
        return f"{words.headline(found.audits, parity)} {_outcome(found)}".strip()
    names = [net.name for net in found.nets]
    what = words.listed(names) if len(names) <= 2 else f"{len(names)} nets"
    counts = sorted({result.n for net in found.nets for result in net.results})
    images = words.images(counts[-1]) if len(counts) == 1 else f"up to {words.images(counts[-1])}"
    return f"{what}, measured on {images}. {_outcome(found)}".strip()


def _outcome(found: Reported) -> str:
    """In one sentence what the pairs show in top-1 that no audit is about."""
    pairs = [pair for pair in found.pairs if pair.matrix.rows and not _is_audited(pair)]
    gains = [pair.matrix.rows[0].gains["top1"] for pair in pairs]
    if not gains:
        return ""
    verdicts = [words.gain_verdict(gain) for gain in gains]
    if len(gains) == 1:
        same = verdicts[0] == "not significant"
        shows = "no significant difference from" if same else f"a {verdicts[0]} over"
        return f"{pairs[0].model.name} shows {shows} {pairs[0].baseline.name} in top-1."
    said: list[str] = []
    for verdict in dict.fromkeys(verdicts):
        count = verdicts.count(verdict)
        shows = "" if said else "shows " if count == 1 else "show "
        what = "no significant difference" if verdict == "not significant" else f"a {verdict}"
        said.append(f"{count} {shows}{what}")
    return f"Of the {len(gains)} comparisons with other nets, {words.listed(said)} in top-1."


def _is_audited(pair: ReportedPair) -> bool:
    audit = pair.model.audit
    return (
        audit is not None
        and audit.baseline == pair.baseline.name
        and any(gain.measured for gain in audit.gains)
    )


def _overview(found: Reported) -> str:
    results = [result for net in found.nets for result in net.results]
    kind = "model" if all(net.manifest is not None for net in found.nets) else "net"
    count = f"1 {kind}" if len(found.nets) == 1 else f"{len(found.nets)} {kind}s"
    if not results:
        return f"{count}, no runs at hand."
    days = sorted({result.started[:10] for result in results})
    span = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    runs = "1 run" if len(results) == 1 else f"{len(results)} runs"
    return f"{count}, {runs} over {words.images(sum(result.n for result in results))} in all, {span}."
