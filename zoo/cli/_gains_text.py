"""Gains by preparation on the terminal: the same table for `audit`, `show` and `validate`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from zoo.cli._output import print_table, say
from zoo.vocabulary import METRIC_NAMES

if TYPE_CHECKING:
    from zoo.catalog.claim import PublishedMeasurement
    from zoo.catalog.manifest import Manifest
    from zoo.report.tables import GainBlock, GainLine

HEADER = ("", "BASELINE", "MODEL", "GAIN", "95 % INTERVAL", "SIGNIFICANT")


def print_gain_blocks(blocks: Sequence[GainBlock], *, sources: bool = True) -> None:
    """For each pair and metric a table by preparation, and what follows; nothing if there is no block.

    sources: say where the sources are shown.
    """
    for block in blocks:
        title = f"{METRIC_NAMES[block.metric]} in %: {block.model} over its baseline {block.baseline}"
        say(f"{title[:1].upper()}{title[1:]}")
        _print_lines(block.lines)
        say(block.sentence)
        print()
    if blocks:
        legend = _legend([line for block in blocks for line in block.lines])
        say(f"{legend} Sources: dsd-zoo show MODEL." if sources else legend)


def print_measurements(manifest: Manifest) -> None:
    """What others measured, with who, how and where; both metrics of one source together."""
    from zoo.report import words

    groups: dict[tuple[str | None, ...], list[PublishedMeasurement]] = {}
    for found in manifest.measurements:
        key = (found.who, found.source, words.preparation_of(found), found.tool, found.note)
        groups.setdefault(key, []).append(found)
    for (who, source, preparation, tool, note), entries in groups.items():
        say(f"  {who}", "  ")
        for found in entries:
            known = "the exact count is unknown" if found.correct is None else f"{found.correct:,} right"
            name = METRIC_NAMES[found.metric]
            say(
                f'    {name} {found.percent:g} %: {known}, of {found.n:,}; printed as "{found.published}"',
                "  ",
            )
        for label, text in (("under", preparation), ("with", tool), ("note", note)):
            if text:
                say(f"    {label}: {text}", "  ")
        say(f"    from: {source}")


def _print_lines(lines: Sequence[GainLine]) -> None:
    names = _names(lines)
    rows: list[tuple[str, ...] | str] = []
    preparation = ""
    for name, line in zip(names, lines, strict=True):
        if line.preparation != preparation:
            preparation = line.preparation
            rows.append(preparation)
        rows.append(_cells(name, line))
    print_table(HEADER, rows, right=(1, 2, 3, 4))
    measured: dict[str, list[str]] = {}
    for name, line in zip(names, lines, strict=True):
        if line.kind == "measured":
            measured.setdefault(line.basis, []).append(name.strip().removeprefix("here, "))
    for basis, flavours in measured.items():
        say(f"here, {', '.join(flavours)}: {basis}", "  ")


def _names(lines: Sequence[GainLine]) -> list[str]:
    """The name of each line, with the number among its like where several runs have the same name."""
    seen: dict[tuple[str, str], int] = {}
    names = []
    for line in lines:
        count = seen[line.preparation, line.name] = seen.get((line.preparation, line.name), 0) + 1
        names.append(f"  {line.name}" + (f" ({count})" if count > 1 else ""))
    return names


def _cells(name: str, line: GainLine) -> tuple[str, ...]:
    from zoo.report import words

    if line.value is None:
        return (name, _aligned(line.baseline), _aligned(line.model), "", "", "")
    return (
        name,
        _aligned(line.baseline),
        _aligned(line.model),
        words.points(line.value.gain),
        words.points_range(line.value.interval),
        "yes" if line.value.significant else "no",
    )


def _aligned(percent: str) -> str:
    """With blanks for missing digits after the point, so that the points stand in one column."""
    whole, point, digits = percent.partition(".")
    return percent and f"{whole}{point or ' '}{digits:2}"


def _legend(lines: Sequence[GainLine]) -> str:
    parts = ["Gains in percentage points. Published totals are compared as if of unrelated images"]
    if any(line.kind == "measured" for line in lines):
        parts[0] += ", runs here image by image (exact McNemar test)"
    if any(line.kind == "others" for line in lines):
        parts.append(
            "A preparation is the same if resize and crop are; two tools may still interpolate differently"
        )
    return " ".join(f"{part}." for part in parts)
