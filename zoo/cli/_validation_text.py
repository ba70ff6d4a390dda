"""The findings of `validate` on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.cli._colour import Verdict
from zoo.cli._output import print_fields, print_table, say
from zoo.preprocessing.settings import in_words
from zoo.vocabulary import METRIC_NAMES, METRICS

if TYPE_CHECKING:
    from zoo.claims.findings import Findings, PairedGains
    from zoo.claims.measurement import Accuracy, Measurement
    from zoo.claims.regression import Regression
    from zoo.claims.trace import TraceAgreement
    from zoo.evidence.run import Run

# At most this many classes that gained or lost most, and images that changed.
CLASSES_SHOWN, IMAGES_SHOWN = 3, 10
# The correlation of two runs over the same images is near 1 in the same order, otherwise near 0.
SAME_ORDER = 0.9


def print_findings(found: Findings, nets: int = 1) -> None:
    """Print the counts, how they were obtained, then everything they were compared with.

    nets: how many nets shared the pass over the images.
    """
    from zoo.report import words

    result = found.run.result
    part = "" if result.n == result.n_dataset else f"{result.n:,} of "
    say(f"{result.model} on {result.dataset}: {part}{words.images(result.n_dataset)}\n")
    _print_accuracies(found.accuracies)
    print()
    print_fields(_circumstances(found.run, found.folder, nets))
    if len(found.runs) > 1:
        print()
        _print_variants([run for _, run in found.runs])
    if found.minimums:
        print()
        for minimum in found.minimums:
            say(Verdict(minimum.verdict(), minimum.holds))
    if found.regression is not None:
        print()
        _print_regression(found.regression, found.class_names)
    if found.against is not None:
        print()
        _print_against(found.against, found.class_names)
    if found.audit is not None:
        from zoo.cli import _audit_text

        print()
        _audit_text.print_claims([found.audit])
        for measured in found.measurements:
            say(_measurement_words(measured))
        for agreement in found.trace:
            say(_trace_words(agreement))
        if any(gain.measured for gain in found.audit.gains):
            _audit_text.print_gains([found.audit])
        _audit_text.print_verdict([found.audit])


def _print_accuracies(accuracies: Sequence[Accuracy]) -> None:
    from zoo.report import words

    lines = []
    for found in accuracies:
        whole = "" if found.whole is None else f"{found.whole.low:,} to {found.whole.high:,}"
        lines.append(
            (
                METRIC_NAMES[found.metric],
                f"{found.correct:,}",
                f"{found.n:,}",
                words.percent(found.correct / found.n),
                words.percent_range(found.wilson),
                words.percent_range(found.exact),
                whole,
            )
        )
    header = [
        "METRIC",
        "RIGHT",
        "OF",
        "ACCURACY",
        "95 % INTERVAL",
        "EXACT",
        f"OF ALL {accuracies[0].population:,}",
    ]
    columns = len(header) if accuracies[0].whole is not None else len(header) - 1
    print_table(header[:columns], [line[:columns] for line in lines], right=(1, 2, 3))
    if accuracies[0].whole is not None:
        say("The last column holds if the images that ran are as good as drawn at random.")


def _circumstances(run: Run, folder: Path, nets: int) -> list[tuple[str, str]]:
    from zoo.evaluation.label_order import AS_GIVEN, IMAGES_CHECKED, MIN_IMAGES, detect_label_order
    from zoo.report import words

    result, rows = run.result, run.rows
    speed = f"batches of {result.batch_size}"
    if result.n > result.resumed:
        speed = f"{result.images_per_second:,.1f} images/s, {result.seconds:,.1f} s, {speed}"
    shared = "" if result.processes == 1 else f", {result.processes} processes"
    shared += "" if nets == 1 else f", one pass for {nets} nets"
    fields = [("images", f"{result.dataset_source}, labels from {result.labels}")]
    first = rows[:IMAGES_CHECKED]
    order = detect_label_order(first.labels.tolist(), first.ids[:, 0].tolist())
    asked = words.images(min(len(rows), IMAGES_CHECKED))
    if order is not None and order.name == AS_GIVEN:
        fields.append(("label order", f"that of the net's classes, as the first {asked} show"))
    if order is None and len(rows) >= MIN_IMAGES:
        fields.append(("label order", f"IN DOUBT: no known one fits what the net finds on the first {asked}"))
    if result.unreadable:
        fields.append(("left out", f"unreadable: {', '.join(result.unreadable)}"))
    fields.append(("preprocessing", in_words(result.preprocessing)))
    if result.exif_rotated:
        fields.append(("EXIF", f"orientation of {words.images(result.exif_rotated)} ignored"))
    place = words.place(result.runtime, result.device)
    fields.append(("ran in", f"{place}, {result.precision}{shared}: {speed}"))
    if result.resumed:
        fields.append(("resumed", f"{words.images(result.resumed)} were ranked before an interruption"))
    return [*fields, ("evidence", str(folder))]


def _print_variants(runs: Sequence[Run]) -> None:
    """A table of all variants, each compared with the float32 run under the net's own flavour."""
    from zoo.claims.regression import compare_runs
    from zoo.report import words

    by_precision = runs[0].result.precision != "float32"
    reference = runs[1] if by_precision else runs[0]
    lines = []
    for run in runs:
        result = run.result
        changed = [
            sum(metric in change.flipped for change in compare_runs(run, reference).flipped)
            for metric in METRICS
        ]
        cells = [result.precision if by_precision else result.flavour]
        for count, base, flips in (
            (result.top1_correct, reference.result.top1_correct, changed[0]),
            (result.top5_correct, reference.result.top5_correct, changed[1]),
        ):
            cells += [f"{count:,}", words.points((count - base) / result.n), f"{flips:,}"]
        lines.append(tuple(cells))
    name = "PRECISION" if by_precision else "FLAVOUR"
    header = (name, "TOP-1", "POINTS", "CHANGED", "TOP-5", "POINTS", "CHANGED")
    print_table(header, lines, right=(1, 2, 3, 4, 5, 6))
    against = "float32" if by_precision else reference.result.flavour
    say(f"POINTS: percentage points against {against}; CHANGED: images whose verdict is another one.")


def _print_regression(regression: Regression, names: Sequence[str]) -> None:
    from zoo.report import words

    say(Verdict(f"baseline: {regression.verdict()}", regression.holds))
    for metric, name in (("top1", "top-1"), ("top5", "top-5")):
        before, now = regression.before[metric], regression.now[metric]
        say(f"  {name}: {before:,} right then, {now:,} now ({words.signed(now - before)})")
    for change in regression.flipped[:IMAGES_SHOWN]:
        say(
            f"  {change.image}, {words.class_label(change.label, names)}: "
            f"{words.ranked(change.before, names)} then, {words.ranked(change.now, names)} now"
        )
    if len(regression.flipped) > IMAGES_SHOWN:
        say(f"  and {len(regression.flipped) - IMAGES_SHOWN:,} more; --json lists all")


def _print_against(against: PairedGains, names: Sequence[str]) -> None:
    from zoo.report import words

    say(f"against {against.model}, image by image:")
    for metric, gain in against.gains.items():
        say(f"  {METRIC_NAMES[metric]}: {words.paired_gain(gain)}: {words.gain_verdict(gain)}")
        say(
            f"    {gain.only_model:,} right here only, {gain.only_baseline:,} there only; {gain.n:,} images "
            f"reveal a true gain of {100 * gain.minimum_detectable:.2f} points or more"
        )
    moved = [found for found in against.classes if found.gain]
    for title, chosen in (
        ("most gained", [found for found in moved if found.gain > 0][:CLASSES_SHOWN]),
        ("most lost", [found for found in reversed(moved) if found.gain < 0][:CLASSES_SHOWN]),
    ):
        for found in chosen:
            say(
                f"  {title}: {words.class_label(found.label, names)}, {found.other_correct} to "
                f"{found.correct} of {found.n} ({words.p_value(found.p_value)} among {len(against.classes)} "
                "classes)"
            )


def _measurement_words(measured: Measurement) -> Verdict:
    from zoo.report import words

    return Verdict(
        f"{METRIC_NAMES[measured.metric]}: {words.images(abs(measured.correct - measured.claimed))} off "
        f"the claimed {measured.claimed:,}, {measured.tolerance} allowed: "
        f"{'equivalent' if measured.verdict == 'agrees' else 'NOT equivalent'}",
        measured.verdict == "agrees",
    )


def _trace_words(agreement: TraceAgreement) -> str:

    head = f"{METRIC_NAMES[agreement.metric]} by batches of {agreement.batch_size}: "
    if agreement.equal == agreement.batches:
        return f"{head}all {agreement.batches} as published"
    rest = (
        f"{head}{agreement.equal} of {agreement.batches} as published, "
        f"the others off by {agreement.largest} images at most"
    )
    if agreement.correlation is None:
        return rest
    order = "the same" if agreement.correlation > SAME_ORDER else "another"
    return f"{rest}; correlation {agreement.correlation:.3f}: {order} order of images"
