"""What the page says of one net and the one that it is compared with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from zoo.claims.gains import ClassGain, PairedGain
from zoo.report import interval_plot, matrix, tables, words
from zoo.report.interval_plot import Axis
from zoo.report.tables import GainBlock, GainLine, PairTable
from zoo.vocabulary import METRIC_NAMES, METRICS, Metric

if TYPE_CHECKING:
    from zoo.claims.gain_matrix import GainMatrix, MatrixRow
    from zoo.claims.reported import Reported, ReportedPair
    from zoo.report.galleries import Gallery

# Of the classes that gain most, and of those that lose most.
MOST_CLASSES = 8


@dataclass(frozen=True, slots=True)
class Panel:
    """The gains in one metric under every preparation: one drawing of the small multiple."""

    metric: Metric
    sentence: str
    lines: list[tuple[str, PairedGain]]

    @property
    def is_nothing(self) -> bool:
        """Whether every gain rounds to 0.00."""
        return all(words.points(gain.gain) == "0.00" for _, gain in self.lines)


@dataclass(frozen=True, slots=True)
class ClassLine:
    """One class: its name, its images, how many of them each net got right, and the difference."""

    name: str
    found: ClassGain


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer for one pair in one line: a verdict in words, and what it rests on."""

    kind: str
    said: str
    detail: str


@dataclass(frozen=True, slots=True)
class PairSection:
    """One pair.

    axis: that of all drawings of the pair.
    blocks: gains by preparation. folded: those in which every gain is 0.00. all_blocks: both, with the lines
        that only the panels draw.
    panels: the small multiple, of pairs with several preparations, over so many `images`.
    counts: the 2x2 tables of the main runs.
    classes: those that gain or lose most; `more_classes` others differ. classes_by_one: how many differ, each
        by one image, where none is shown for that reason.
    """

    model: str
    baseline: str
    anchor: str
    verdicts: list[Verdict]
    axis: Axis
    blocks: list[GainBlock]
    folded: list[GainBlock]
    panels: list[Panel]
    images: str
    notes: list[str]
    counts: list[PairTable]
    classes: list[ClassLine]
    more_classes: int
    classes_by_one: int
    galleries: list[Gallery]
    all_blocks: list[GainBlock]

    @property
    def most_of_a_class(self) -> int:
        """The largest difference of a class, in images."""
        return max((abs(line.found.gain) for line in self.classes), default=1)


def pair_sections(found: Reported) -> list[PairSection]:
    """One section for each pair of which anything is known, and for published gains without any run."""
    from zoo.report.galleries import pair_galleries

    sections = []
    compared = {(pair.model.name, pair.baseline.name): pair for pair in found.pairs}
    for net in found.nets:
        published = [] if net.audit is None else tables.gain_blocks(net.audit)
        baseline = None if net.audit is None else net.audit.baseline
        names = [other for model, other in compared if model == net.name]
        if published and baseline is not None and baseline not in names:
            names.insert(0, baseline)
        for name in names:
            pair = compared.get((net.name, name))
            blocks = published if name == baseline else []
            galleries = [] if pair is None else pair_galleries(pair)
            sections.append(_section(net.name, name, blocks, pair, galleries))
    return sections


def all_blocks(found: Reported) -> Iterator[GainBlock]:
    """The gains of every pair, folded or not; of those with several preparations also what panels show."""
    for section in pair_sections(found):
        yield from section.all_blocks


def all_counts(found: Reported) -> Iterator[PairTable]:
    """The 2x2 counts of every pair."""
    for section in pair_sections(found):
        yield from section.counts


def _section(
    model: str,
    baseline: str,
    published: Sequence[GainBlock],
    pair: ReportedPair | None,
    galleries: list[Gallery],
) -> PairSection:
    found = None if pair is None else pair.matrix
    panels = [] if found is None or len(found.rows) < 2 else [_panel(found, metric) for metric in METRICS]
    everything = list(published) or ([] if found is None else matrix_blocks(found))
    blocks = everything
    if panels:
        blocks = [block for block in map(_without_panels, everything) if block.lines]
    shown = [block for block in blocks if not _is_nothing(block)]
    lines, more = ([], 0) if pair is None else _classes(pair)
    intervals = [line.value.interval for block in blocks for line in block.lines if line.value is not None]
    intervals += [gain.interval for panel in panels for _, gain in panel.lines]
    return PairSection(
        model=model,
        baseline=baseline,
        anchor=f"{model}-over-{baseline}",
        verdicts=list(_verdicts(published, found)),
        axis=interval_plot.axis_over(intervals),
        blocks=shown,
        folded=[block for block in blocks if _is_nothing(block)],
        panels=panels,
        images="" if found is None else words.listed(_image_counts(found)),
        notes=[] if found is None else matrix.matrix_notes(found)[len(_image_counts(found)) and 1 :],
        counts=[] if pair is None else _counts(pair),
        classes=lines,
        more_classes=more,
        classes_by_one=0 if lines or pair is None else sum(bool(one.gain) for one in pair.classes),
        galleries=galleries,
        all_blocks=everything,
    )


def matrix_blocks(found: GainMatrix) -> list[GainBlock]:
    """The gains of two nets of which nothing is published, for each metric."""
    if not found.rows:
        return []
    return [
        GainBlock(
            found.model,
            found.baseline,
            metric,
            [_matrix_line(row, metric) for row in found.rows],
            matrix.matrix_sentence(found, metric),
        )
        for metric in METRICS
    ]


def _matrix_line(row: MatrixRow, metric: Metric) -> GainLine:
    gain = row.gains[metric]
    place = words.place(gain.runtime, gain.device)
    return GainLine(
        kind="measured",
        preparation=matrix.row_settings(row),
        name="here",
        baseline=f"{100 * row.baseline_correct[metric] / row.n:.2f}",
        model=f"{100 * row.correct[metric] / row.n:.2f}",
        value=gain,
        basis=f"{place}, {words.images(row.n)}, {words.p_value(gain.p_value)}",
        verdict=words.gain_verdict(gain),
    )


def _without_panels(block: GainBlock) -> GainBlock:
    """Without the measurements here that have nothing published beside them: the panels draw them."""
    published = {line.preparation for line in block.lines if line.kind != "measured"}
    lines = [line for line in block.lines if line.kind != "measured" or line.preparation in published]
    return replace(block, lines=lines)


def _is_nothing(block: GainBlock) -> bool:
    """Whether every gain of the block rounds to 0.00, so that it says one thing in many lines."""
    values = [line.value for line in block.lines if line.value is not None]
    return bool(values) and all(words.points(value.gain) == "0.00" for value in values)


def _panel(found: GainMatrix, metric: Metric) -> Panel:
    lines = [
        (name, row.gains[metric]) for name, row in zip(matrix.row_names(found.rows), found.rows, strict=True)
    ]
    return Panel(metric, matrix.matrix_sentence(found, metric), lines)


def _image_counts(found: GainMatrix) -> list[str]:
    return list(dict.fromkeys(words.images(row.n) for row in found.rows))


def _counts(pair: ReportedPair) -> list[PairTable]:
    """The 2x2 tables of the main runs; none for a metric in which both nets are right on every image."""
    if pair.runs is None:
        return []
    rows = [row for row in pair.matrix.rows if row.flavour == pair.runs[0].result.flavour]
    where = words.place(pair.runs[0].result.runtime, pair.runs[0].result.device)
    return [
        PairTable(
            pair.model.name,
            pair.baseline.name,
            metric,
            f"{row.flavour}, {where}",
            row.gains[metric],
            tables.pair_note(row.gains[metric]),
        )
        for row in rows[:1]
        for metric in METRICS
        if row.gains[metric].only_model or row.gains[metric].only_baseline
    ]


def _classes(pair: ReportedPair) -> tuple[list[ClassLine], int]:
    """The classes that gain and lose most, and how many others differ; none where too many differ by one."""
    differing = [found for found in pair.classes if found.gain]
    if len(differing) > 2 * MOST_CLASSES and max(abs(found.gain) for found in differing) == 1:
        return [], 0
    gaining = [found for found in differing if found.gain > 0]
    losing = [found for found in differing if found.gain < 0]
    shown = gaining[:MOST_CLASSES] + losing[-MOST_CLASSES:]
    names = pair.class_names
    lines = [ClassLine(words.class_name(found.label, names), found) for found in shown]
    return lines, len(differing) - len(shown)


def _verdicts(published: Sequence[GainBlock], found: GainMatrix | None) -> Iterator[Verdict]:
    """In top-1 what was measured here; in both metrics what became of a significant claimed gain."""
    if found is not None and found.rows:
        yield _measured_verdict(found)
    for block in published:
        if block.standing not in ("", "nothing claimed"):
            claimed = next(line.value for line in block.lines if line.kind == "claimed" and line.value)
            said = f"claimed gain {words.STANDINGS[block.standing][0]}"
            kind = {"stands": "good", "shrinks": "bad"}.get(block.standing, "open")
            detail = f"{METRIC_NAMES[block.metric]}: {words.points(claimed.gain)} points are published"
            yield Verdict(kind, said, detail)


def _measured_verdict(found: GainMatrix) -> Verdict:
    gains = [row.gains["top1"] for row in found.rows]
    first = gains[0]
    verdicts = list(dict.fromkeys(words.gain_verdict(gain) for gain in gains))
    if len(verdicts) > 1:
        return Verdict("open", "depends on the preparation", matrix.matrix_sentence(found, "top1"))
    kind = {"significant gain": "good", "significant loss": "bad"}.get(verdicts[0], "open")
    said = "no significant difference" if verdicts[0] == "not significant" else verdicts[0]
    under = "" if len(gains) == 1 else f", and so under each of {len(gains)} preparations"
    return Verdict(kind, said, f"top-1: {words.paired_gain(first)}{under}")
