"""`dsd-zoo demo`: the whole job on the embedded models, without network."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zoo.cli._output import print_table, show_progress
from zoo.cli.command import command
from zoo.errors import UsageError
from zoo.vocabulary import METRICS, Metric

if TYPE_CHECKING:
    from zoo.claims.audit import AuditedModel
    from zoo.demo import Demo


@command("demo", order=160)
def demo(
    output: Annotated[
        Path, typer.Option("--out", "-o", "--output", metavar="FILE", help="The HTML report to write.")
    ] = Path("report.html"),
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Keep the converted nets and the evidence in this folder."),
    ] = None,
) -> None:
    """Run the whole job on six small embedded models.

    Verify, convert to ONNX and PyTorch, compare with what the original frameworks put out, validate,
    audit, report: offline, in seconds. Ends with 1 if something does not reproduce. That a gain is not
    significant is a finding, no failure.
    """
    from tempfile import gettempdir

    from converters import temporary_folder
    from zoo.demo import run_demo
    from zoo.report.html import illustrations, write_page
    from zoo.store.cache import Cache

    if not output.parent.is_dir():
        raise UsageError(f"{output}: the report cannot be written there, no such folder: {output.parent}")
    if output.is_dir() or not os.access(output.parent, os.W_OK):
        reason = "it is a folder" if output.is_dir() else f"no right to write to the folder {output.parent}"
        raise UsageError(f"{output}: the report cannot be written there, {reason}")
    print("Six small nets for handwritten digits, trained and tested with real Caffe and real Torch7.")
    print("Each: files verified, converted to ONNX and PyTorch, run on 500 test images, claims audited.\n")
    with ExitStack() as stack:
        if out is None:
            out = stack.enter_context(temporary_folder(Path(gettempdir())))
        done = run_demo(out, progress=show_progress)
        show_progress("")
    _print(done)
    shown = illustrations(done.reported, Cache())
    write_page(output, done.reported, done.parity, shown, "dsd-zoo demo")
    print(f"The whole story, with what every number rests on: {output}")
    if not done.holds:
        raise typer.Exit(1)


def _print(done: Demo) -> None:
    from zoo.cli import _audit_text
    from zoo.report import words
    from zoo.runtimes import installed_runtimes

    header = ("MODEL", "FILES", "OFF BY", "TOP-1 CLAIMED", "MEASURED", "TOP-5 CLAIMED", "MEASURED", "VERDICT")
    print_table(header, [_line(model, done) for model in done.models], right=(2, 3, 4, 5, 6))
    print("OFF BY: largest difference of the converted nets from what the original framework put out,")
    *others, last = (words.runtime_label(name) for name in installed_runtimes())
    print(f"relative to its largest value. MEASURED: with {', '.join(others)} and {last},")
    print("separated by / where they differ.\n")
    _print_gains(done)
    _audit_text.print_verdict([model.audit for model in done.models], done.parity)


def _print_gains(done: Demo) -> None:
    """The measured top-1 gains over the fair baselines."""
    from zoo.report import words
    from zoo.report.tables import merged_pairs

    found = [
        (model.manifest.name, gain.baseline, pair)
        for model in done.models
        for gain in model.audit.gains
        for pair, _ in merged_pairs(gain)
        if gain.metric == "top1"
    ]
    lines = [
        (
            model,
            baseline,
            words.signed(pair.only_model - pair.only_baseline),
            words.points(pair.gain),
            words.points_range(pair.interval),
            words.p_value(pair.p_value),
            words.gain_verdict(pair),
        )
        for model, baseline, pair in found
    ]
    header = ("MODEL", "AGAINST", "TOP-1 IMAGES", "POINTS", "95 % INTERVAL", "EXACT MCNEMAR", "VERDICT")
    print_table(header, lines, right=(2, 3, 4))
    least = min(pair.minimum_detectable for _, _, pair in found)
    count = words.images(min(pair.n for _, _, pair in found))
    print(f"With {count} a true gain shows up in 80 % of cases only from {100 * least:.1f} points on.")


def _line(model: AuditedModel, done: Demo) -> tuple[str, ...]:
    name = model.manifest.name
    rows = [row for row in done.parity if row.model == name]
    holds = model.audit.holds and all(row.holds for row in rows)
    return (
        name,
        f"{len(model.manifest.files)} verified",
        f"{max(row.difference for row in rows):.0e}",
        *(cell for metric in METRICS for cell in _counts(model, metric)),
        "reproduced" if holds else "NOT REPRODUCED",
    )


def _counts(model: AuditedModel, metric: Metric) -> tuple[str, str]:
    from zoo.report import words

    (claim,) = (claim for claim in model.audit.claims if claim.metric == metric)
    found = dict.fromkeys(str(run.correct) for run in claim.measurements)
    return words.claimed(claim), " / ".join(found)
