"""`dsd-zoo demo`: the whole job on the embedded models, without network."""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zoo.cli._colour import Verdict
from zoo.cli._options import JsonOption
from zoo.cli._output import print_json, print_table, say, show_progress
from zoo.cli.command import command
from zoo.errors import UsageError
from zoo.vocabulary import METRICS, Metric

if TYPE_CHECKING:
    from zoo.claims.audit import AuditedModel
    from zoo.demo import Demo


HEADER = ("MODEL", "OFF BY", "CLAIMED", "TOP-1", "CLAIMED", "TOP-5", "VERDICT")


@command("demo", order=160)
def demo(
    output: Annotated[
        Path, typer.Option("--out", "-o", "--output", metavar="FILE", help="The HTML report to write.")
    ] = Path("report.html"),
    keep: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Keep the converted nets and the evidence in this folder."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Run the whole job on six small embedded models.

    Verify, convert to ONNX and PyTorch, compare with what the original frameworks put out, validate,
    audit, report: offline, in seconds. Ends with 1 if something does not reproduce. That a gain is not
    significant is a finding, no failure.

    --json prints: holds, models (the audit of each, as `dsd-zoo audit --json`), parity (each recorded output
    of each converted net: model, runtime, output, images, difference, bound, holds), report (the page).
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
    if not json:
        say("Six small nets for handwritten digits, trained with real Caffe and real Torch7.")
        say("Each: files verified, converted to ONNX and PyTorch, run on 500 images, audited.\n")
    with ExitStack() as stack:
        folder = keep or stack.enter_context(temporary_folder(Path(gettempdir())))
        done = run_demo(folder, progress=show_progress)
        show_progress("")
    if json:
        print_json(_fields(done, output))
    else:
        _print(done)
    shown = illustrations(done.reported, Cache())
    write_page(output, done.reported, done.parity, shown, "dsd-zoo demo")
    if not json:
        say(f"The whole story, with what every number rests on: {output}")
    if not done.holds:
        raise typer.Exit(1)


def _fields(done: Demo, page: Path) -> dict[str, Any]:
    return {
        "holds": done.holds,
        "models": [model.audit.to_json() for model in done.models],
        "parity": [{**asdict(row), "holds": row.holds} for row in done.parity],
        "report": str(page),
    }


def _print(done: Demo) -> None:
    from zoo.cli import _audit_text
    from zoo.report import words
    from zoo.runtimes import installed_runtimes

    rows = [_line(model, done) for model in done.models]
    print_table(HEADER, rows, right=(1, 2, 3, 4, 5))
    *others, last = (words.runtime_label(name) for name in installed_runtimes())
    say("OFF BY: largest difference from the recorded outputs, relative to the largest.")
    apart = (
        "; / stands between counts that differ" if any(" / " in cell for row in rows for cell in row) else ""
    )
    before = f"{', '.join(others)} and " if others else ""
    say(f"TOP-1, TOP-5: right images, as measured with {before}{last}{apart}.\n")
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
            words.signed(pair.only_model - pair.only_baseline),
            words.points(pair.gain),
            words.points_range(pair.interval),
            f"{pair.p_value:.3g}",
            Verdict(words.gain_verdict(pair), pair.gain > 0 if pair.significant else None),
        )
        for model, _, pair in found
    ]
    header = ("TOP-1 GAIN OF", "IMAGES", "POINTS", "95 % INTERVAL", "P", "VERDICT")
    print_table(header, lines, right=(1, 2, 3))
    least = min(pair.minimum_detectable for _, _, pair in found)
    count = words.images(min(pair.n for _, _, pair in found))
    say(
        f"Over the baseline of each, image by image; P: exact McNemar test. With {count} a true gain shows "
        f"up in 80 % of cases only from {100 * least:.1f} points on."
    )


def _line(model: AuditedModel, done: Demo) -> tuple[str, ...]:
    name = model.manifest.name
    rows = [row for row in done.parity if row.model == name]
    holds = model.audit.holds and all(row.holds for row in rows)
    return (
        name,
        f"{max(row.difference for row in rows):.0e}",
        *(cell for metric in METRICS for cell in _counts(model, metric)),
        Verdict("reproduced" if holds else "NOT REPRODUCED", holds),
    )


def _counts(model: AuditedModel, metric: Metric) -> tuple[str, str]:
    from zoo.report import words

    (claim,) = (claim for claim in model.audit.claims if claim.metric == metric)
    found = dict.fromkeys(str(run.correct) for run in claim.measurements)
    return words.claimed(claim), " / ".join(found)
