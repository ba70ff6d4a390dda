"""`dsd-zoo validate MODEL | FILE... --data SRC`: measure the accuracy of nets."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from zoo.cli._fastest import find_fastest
from zoo.cli._image_progress import progress_bar
from zoo.cli._options import (
    BatchSizeOption,
    CropOption,
    DeviceOption,
    FlavourOption,
    JsonOption,
    LabelsOption,
    ManifestsOption,
    MeanOption,
    MeantForOption,
    NetsArgument,
    PreprocessOnOption,
    ScaleOption,
    ScoresOption,
    StdOption,
    VerifyOption,
    mean_option,
    numbers,
)
from zoo.cli._other_runs import earlier_runs, other_run, require_same_images
from zoo.cli._output import in_github_workflow, print_json
from zoo.cli._pass_errors import ending_explained, errors_in_junit
from zoo.cli._subject import find_subjects, load_catalog
from zoo.cli._tasks import refuse_uncounted
from zoo.cli.command import command
from zoo.datasets import kinds_of_sources
from zoo.errors import UsageError
from zoo.vocabulary import FASTEST, Metric, Precision, RuntimeChoice, RuntimeName


@command("validate", order=120)
def validate(
    nets: NetsArgument,
    data: Annotated[Path | None, typer.Option(metavar="SRC", help=f"Images: {kinds_of_sources()}.")] = None,
    labels: LabelsOption = None,
    runtime: Annotated[
        RuntimeChoice, typer.Option(help="What runs the net; fastest measures all that are installed.")
    ] = "onnx",
    device: DeviceOption = "cpu",
    precision: Annotated[
        Precision,
        typer.Option(help="Arithmetic; any but float32 is compared with float32 in the same pass."),
    ] = "float32",
    limit: Annotated[int | None, typer.Option(metavar="N", help="Only the first N images.")] = None,
    batch_size: BatchSizeOption = None,
    scores: ScoresOption = None,
    flavour: FlavourOption = None,
    crop: CropOption = None,
    mean: MeanOption = None,
    std: StdOption = None,
    scale: ScaleOption = None,
    meant_for: MeantForOption = None,
    sensitivity: Annotated[
        bool, typer.Option("--sensitivity", help="All flavours in one pass, and how much they change.")
    ] = False,
    preprocess_on: PreprocessOnOption = "host",
    skip_unreadable: Annotated[
        bool, typer.Option("--skip-unreadable", help="Leave out images that cannot be decoded.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="DIR",
            help="For the evidence, of several nets in DIR/MODEL; default results/MODEL/RUNTIME.",
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from where an interrupted run was ended.")
    ] = False,
    restart: Annotated[
        bool, typer.Option("--restart", help="Throw away what an interrupted run left, and start over.")
    ] = False,
    baseline: Annotated[
        list[str] | None,
        typer.Option(
            metavar="RESULT.json|URL",
            help="An earlier run: compare image by image, end with 1 on change. Once for each net.",
        ),
    ] = None,
    tolerance: Annotated[
        int | None,
        typer.Option(metavar="N", min=0, help="Images that may change their verdict against --baseline."),
    ] = None,
    max_drop: Annotated[
        float | None,
        typer.Option(metavar="POINTS", min=0, help="Points of accuracy that may be lost against --baseline."),
    ] = None,
    min_top1: Annotated[
        float | None,
        typer.Option("--min-top1", metavar="PERCENT", min=0, max=100, help="End with 1 if top-1 is lower."),
    ] = None,
    min_top5: Annotated[
        float | None,
        typer.Option("--min-top5", metavar="PERCENT", min=0, max=100, help="End with 1 if top-5 is lower."),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="RESULT.json|NET",
            help="A run of another net over the same images, or a net named here: the gain over it.",
        ),
    ] = None,
    junit: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the checks as JUnit XML.")] = None,
    markdown: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Append a summary in Markdown.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the counts and gains as an HTML page.")
    ] = None,
    no_images: Annotated[
        bool, typer.Option("--no-images", help="Leave the images out of the HTML page.")
    ] = False,
    verify: VerifyOption = False,
    json: JsonOption = False,
    manifests: ManifestsOption = None,
) -> None:
    """Measure top-1 and top-5 of nets over images, from the image files on, and keep the evidence.

    A model of the zoo brings its preprocessing; files need --flavour, --crop and mostly --mean. The evidence
    is one row per image (evidence.csv) and the counts with everything they rest on (result.json); it is kept
    as it comes, so that --resume goes on after any interruption; of a complete run it prints what was found.
    Without --resume or --restart, what an interrupted run left is never touched. Several processes share the
    images, also on several machines, which need no common folder: torchrun --nproc-per-node=N -m zoo validate
    ...

    Several nets share one pass: every image is read and decoded once. Each net gets the evidence of a run of
    it alone. A model and its baseline are compared image by image under each preprocessing that both ran;
    --against NET does so for files.

    Ends with 1 if a run contradicts a claim of its model, used other files than the pinned ones, differs from
    the --baseline, or is less accurate than --min-top1, --min-top5 or --max-drop allow; with 130 if Ctrl-C
    ended it. With --max-drop and no --tolerance, images may change as long as no more points are lost.

    --json prints: result (the content of result.json), out (its folder), accuracies (with intervals), claims
    (images off, and the tolerance), trace (agreement with the published batches), audit (as `dsd-zoo audit`,
    or null), against (paired gains and classes, or null), baseline (what changed, or null), minimums,
    variants (of --sensitivity and --precision). Of several nets: nets (all this of each), and pairs (model,
    baseline, a row of counts and gains for each preprocessing, and what was not compared).
    """
    from zoo.claims.findings import collect_pass, without_comparisons
    from zoo.cli._pass_text import print_pass, say_complete
    from zoo.datasets import open_dataset
    from zoo.environment import sleep_while_waiting
    from zoo.evaluation.distributed import join_group
    from zoo.evaluation.evaluate import evaluate_and_write
    from zoo.evaluation.folders import hold_folders
    from zoo.evaluation.nets import Choices, ChosenNet, choose_nets, common_images, evaluation_of, folders_of
    from zoo.report.annotations import error_lines
    from zoo.report.files import write_reports
    from zoo.runtimes.runtime import parse_device

    sleep_while_waiting()
    parse_device(device)
    if resume and restart:
        raise UsageError(
            "--resume goes on with an interrupted run, --restart throws it away; give one of them"
        )
    if tolerance is not None and not baseline:
        raise UsageError("--tolerance says what may differ from --baseline RESULT.json; give that, too")
    if max_drop is not None and not baseline:
        raise UsageError("--max-drop says what may be lost against --baseline RESULT.json; give that, too")
    minimums: dict[Metric, float] = {}
    if min_top1 is not None:
        minimums["top1"] = min_top1
    if min_top5 is not None:
        minimums["top5"] = min_top5
    refuse_uncounted(nets, manifests)
    subjects = find_subjects(nets, manifests)
    if verify:
        for subject in subjects:
            subject.verify_external_files()
    names = [subject.name for subject in subjects]
    earlier = earlier_runs(baseline or [], names)
    reference = against if against in names and len(names) > 1 else None
    other = None if against is None or reference is not None else other_run(against, names)
    choices = Choices(
        scores=scores,
        precision=precision,
        sensitivity=sensitivity,
        flavour=flavour,
        crop=crop,
        std=numbers("std", std),
        scale=scale,
        mean=mean_option(mean),
        meant_for=meant_for,
    )

    def folders_in(name: RuntimeName, nets: Sequence[ChosenNet]) -> list[list[Path]]:
        return [
            folders_of(net, name, device, limit, _place(out, net.subject.name, len(names))) for net in nets
        ]

    noted: dict[str, str] = {}
    if runtime == FASTEST:
        # Each runtime that is measured has a form of its own.
        subjects = [subject.read_once() for subject in subjects]
        runtime, noted = find_fastest(
            subjects,
            choices,
            lambda name, net: folders_in(name, [net])[0][0],
            data,
            labels,
            device=device,
            batch_size=batch_size,
            resume=resume,
            restart=restart,
        )
    choices = replace(choices, runtime=runtime)
    chosen = choose_nets(subjects, choices)
    for subject in subjects:
        subject.forget()
    folders = folders_in(runtime, chosen)
    with (
        join_group(device) as group,
        errors_in_junit(junit, names, group),
        hold_folders([folder for of_net in folders for folder in of_net], group),
        open_dataset(data or common_images(subjects), labels) as dataset,
    ):
        require_same_images(earlier, other, dataset, limit, skip_unreadable)
        evaluations = [
            evaluation_of(
                net,
                dataset,
                of_net,
                runtime,
                device=device,
                batch_size=batch_size,
                limit=limit,
                skip_unreadable=skip_unreadable,
                preprocess_on=preprocess_on,
                noted=noted,
                command=shlex.join(["dsd-zoo", *sys.argv[1:]]),
            )
            for net, of_net in zip(chosen, folders, strict=True)
        ]
        kept = [of_net[0] for of_net in folders]
        title = names[0] if len(names) == 1 else f"{len(names)} nets"
        with ending_explained(kept, group), progress_bar(title) as progress:
            runs = evaluate_and_write(
                evaluations,
                resume=resume,
                restart=restart,
                complete=say_complete,
                group=group,
                progress=progress,
            )
        if group.rank:
            return
    placed = [list(zip(where, of_net, strict=True)) for where, of_net in zip(folders, runs, strict=True)]
    known = [subject.manifest for subject in subjects]
    problem = None
    try:
        findings = collect_pass(
            known,
            load_catalog(manifests),
            placed,
            earlier,
            tolerance,
            other,
            reference=reference,
            max_drop=max_drop,
            minimums=minimums,
            label_order=dataset.label_order,
        )
    except Exception as error:
        # What was measured is not lost with what it was to be compared with.
        findings, problem = without_comparisons(placed), error
    print_json(findings.to_json()) if json else print_pass(findings)
    if in_github_workflow():
        for line in error_lines(findings):
            print(line, file=sys.stderr)
    # Last, so that the findings are printed even if a report cannot be written.
    said = None if problem is None else str(problem)
    write_reports(findings, junit, markdown, html, said, images=not no_images)
    if problem is not None:
        raise problem
    if not findings.holds:
        raise typer.Exit(1)


def _place(out: Path | None, name: str, nets: int) -> Path | None:
    """Where --out puts the evidence of a net: one net there, several in a folder each."""
    return out if out is None or nets == 1 else out / name
