"""`dsd-zoo validate MODEL | FILE... --data SRC`: measure the accuracy of a net."""

from __future__ import annotations

import contextlib
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

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
    NetArgument,
    PreprocessOnOption,
    RuntimeOption,
    ScoresOption,
    VerifyOption,
    mean_option,
    numbers,
)
from zoo.cli._output import print_json
from zoo.cli._subject import find_subject, load_catalog
from zoo.cli.command import command
from zoo.datasets import kinds_of_sources
from zoo.errors import UsageError
from zoo.vocabulary import Precision

if TYPE_CHECKING:
    from zoo.evaluation.distributed import Group

# The exit code that shells report of a command that Ctrl-C ended.
INTERRUPTED = 130


@command("validate", order=120)
def validate(
    net: NetArgument,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="SRC",
            help=f"Images: {kinds_of_sources()}.",
        ),
    ] = None,
    labels: LabelsOption = None,
    runtime: RuntimeOption = "onnx",
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
    std: Annotated[str | None, typer.Option(metavar="N,N,N", help="Standard deviation per channel.")] = None,
    scale: Annotated[float | None, typer.Option(metavar="X", help="Factor after the mean.")] = None,
    meant_for: Annotated[
        str | None,
        typer.Option(metavar="FLAVOUR", help="The flavour that net and mean are made for, if not --flavour."),
    ] = None,
    sensitivity: Annotated[
        bool, typer.Option("--sensitivity", help="All flavours in one pass, and how much they change.")
    ] = False,
    preprocess_on: PreprocessOnOption = "host",
    skip_unreadable: Annotated[
        bool, typer.Option("--skip-unreadable", help="Leave out images that cannot be decoded.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="For the evidence; default results/MODEL/RUNTIME.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from where an interrupted run was ended.")
    ] = False,
    baseline: Annotated[
        Path | None,
        typer.Option(
            metavar="RESULT.json", help="An earlier run: compare image by image, end with 1 on change."
        ),
    ] = None,
    tolerance: Annotated[
        int | None,
        typer.Option(metavar="N", min=0, help="Images that may change their verdict against --baseline."),
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option(
            metavar="RESULT.json", help="A run of another net over the same images: the gain over it."
        ),
    ] = None,
    junit: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the checks as JUnit XML.")] = None,
    markdown: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Append a summary in Markdown.")
    ] = None,
    verify: VerifyOption = False,
    json: JsonOption = False,
    manifests: ManifestsOption = None,
) -> None:
    """Measure top-1 and top-5 of a net over images, from the image files on, and keep the evidence.

    A model of the zoo brings its preprocessing; files need --flavour, --crop and mostly --mean. The evidence
    is one row per image (evidence.csv) and the counts with everything they rest on (result.json); it is kept
    as it comes, so that --resume goes on after any interruption. Several processes share the images, also on
    several machines, which need no common folder: torchrun --nproc-per-node=N -m zoo validate ...

    Ends with 1 if the run contradicts a claim of the model, used other files than the pinned ones, or differs
    from the --baseline; with 130 if Ctrl-C ended it.

    --json prints: result (the content of result.json), out (its folder), accuracies (with intervals), claims
    (images off, and the tolerance), trace (agreement with the published batches), audit (as `dsd-zoo audit`,
    or null), against (paired gains and classes, or null), baseline (what changed, or null), variants (of
    --sensitivity and --precision).
    """
    from zoo.claims.findings import collect_findings
    from zoo.cli._validation_text import print_findings
    from zoo.datasets import open_dataset
    from zoo.environment import sleep_while_waiting
    from zoo.evaluation.distributed import join_group
    from zoo.evaluation.evaluate import evaluate_and_write
    from zoo.evaluation.folders import hold_folders
    from zoo.evaluation.job import job_for
    from zoo.evaluation.settings import settings_for, shipped_images
    from zoo.evaluation.variants import folder_of, variants_of
    from zoo.evidence.run import read_run
    from zoo.report.files import write_reports
    from zoo.runtimes.runtime import parse_device

    sleep_while_waiting()
    parse_device(device)
    if tolerance is not None and baseline is None:
        raise UsageError("--tolerance says what may differ from --baseline RESULT.json; give that, too")
    earlier = None if baseline is None else read_run(baseline)
    other = None if against is None else read_run(against)
    subject = find_subject(net, manifests)
    if verify:
        subject.verify_external_files()
    known = subject.manifest
    scores = subject.scores(scores)
    chosen = {"flavour": flavour, "crop": crop, "std": numbers("std", std), "scale": scale}
    settings = settings_for(subject, runtime, scores, chosen, mean=mean_option(mean), meant_for=meant_for)
    variants = variants_of(settings.preprocessing, settings.meant_for, precision, sensitivity)
    own_flavour = settings.preprocessing.flavour if known is None else known.preprocessing.flavour
    if out is None:
        folders = [
            folder_of(subject.name, runtime, device, variant, limit, own_flavour) for variant in variants
        ]
    else:
        folders = [out, *(out / variant.name for variant in variants[1:])]
    with (
        join_group(device) as group,
        hold_folders(folders, group),
        open_dataset(data or shipped_images(subject), labels) as dataset,
    ):
        job = job_for(
            subject,
            settings,
            dataset,
            runtime,
            scores,
            device=device,
            batch_size=batch_size,
            limit=limit,
            skip_unreadable=skip_unreadable,
            preprocess_on=preprocess_on,
            command=shlex.join(["dsd-zoo", *sys.argv[1:]]),
        )
        with _interruption_explained(folders[0], group), progress_bar(job.model) as progress:
            runs = evaluate_and_write(job, variants, folders, resume=resume, group=group, progress=progress)
        if group.rank:
            return
    placed = list(zip(folders, runs, strict=True))
    findings = collect_findings(known, load_catalog(manifests), placed, earlier, tolerance, other)
    print_json(findings.to_json()) if json else print_findings(findings)
    # Last, so that the findings are printed even if a report cannot be written.
    write_reports(findings, junit, markdown)
    if not findings.holds:
        raise typer.Exit(1)


@contextlib.contextmanager
def _interruption_explained(folder: Path, group: Group) -> Iterator[None]:
    """Say what is kept of a run that Ctrl-C or the loss of a process ends, and how to continue it."""
    from zoo.evaluation.distributed import RankLostError
    from zoo.evidence import journal

    def kept() -> str:
        images = sum(len(batch.rows[0]) for batch in journal.read(folder).values())
        return (
            f"the evidence of {images:,} images is kept in {folder}; the same command with --resume goes on"
        )

    try:
        yield
    except RankLostError as error:
        raise RankLostError(f"rank {group.rank} of {group.size}: {error}\n  {kept()}") from error
    except KeyboardInterrupt:
        print(f"dsd-zoo: interrupted; {kept()}", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None
