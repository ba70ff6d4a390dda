"""`dsd-zoo validate MODEL | FILE... --data SRC`: measure the accuracy of nets."""

from __future__ import annotations

import contextlib
import shlex
import sys
from collections.abc import Iterator, Sequence
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
    NetsArgument,
    PreprocessOnOption,
    RuntimeOption,
    ScoresOption,
    VerifyOption,
    mean_option,
    numbers,
)
from zoo.cli._output import print_json
from zoo.cli._subject import find_subjects, load_catalog
from zoo.cli._tasks import refuse_uncounted
from zoo.cli.command import command
from zoo.datasets import kinds_of_sources
from zoo.errors import UsageError
from zoo.vocabulary import Precision

if TYPE_CHECKING:
    from zoo.evaluation.distributed import Group
    from zoo.evidence.run import Run

# The exit code that shells report of a command that Ctrl-C ended.
INTERRUPTED = 130


@command("validate", order=120)
def validate(
    nets: NetsArgument,
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
        Path | None,
        typer.Option(
            metavar="DIR",
            help="For the evidence, of several nets in DIR/MODEL; default results/MODEL/RUNTIME.",
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from where an interrupted run was ended.")
    ] = False,
    baseline: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="RESULT.json",
            help="An earlier run: compare image by image, end with 1 on change. Once for each net.",
        ),
    ] = None,
    tolerance: Annotated[
        int | None,
        typer.Option(metavar="N", min=0, help="Images that may change their verdict against --baseline."),
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
    verify: VerifyOption = False,
    json: JsonOption = False,
    manifests: ManifestsOption = None,
) -> None:
    """Measure top-1 and top-5 of nets over images, from the image files on, and keep the evidence.

    A model of the zoo brings its preprocessing; files need --flavour, --crop and mostly --mean. The evidence
    is one row per image (evidence.csv) and the counts with everything they rest on (result.json); it is kept
    as it comes, so that --resume goes on after any interruption. Several processes share the images, also on
    several machines, which need no common folder: torchrun --nproc-per-node=N -m zoo validate ...

    Several nets share one pass: every image is read and decoded once. Each net gets the evidence of a run of
    it alone. A model and its baseline are compared image by image under each preprocessing that both ran;
    --against NET does so for files.

    Ends with 1 if a run contradicts a claim of its model, used other files than the pinned ones, or differs
    from the --baseline; with 130 if Ctrl-C ended it.

    --json prints: result (the content of result.json), out (its folder), accuracies (with intervals), claims
    (images off, and the tolerance), trace (agreement with the published batches), audit (as `dsd-zoo audit`,
    or null), against (paired gains and classes, or null), baseline (what changed, or null), variants (of
    --sensitivity and --precision). Of several nets: nets (all this of each), and pairs (model, baseline, a
    row of counts and gains for each preprocessing, and what was not compared).
    """
    from zoo.claims.findings import collect_pass
    from zoo.cli._pass_text import print_pass
    from zoo.datasets import open_dataset
    from zoo.environment import sleep_while_waiting
    from zoo.evaluation.distributed import join_group
    from zoo.evaluation.evaluate import evaluate_and_write
    from zoo.evaluation.folders import hold_folders
    from zoo.evaluation.nets import Choices, choose_nets, common_images, evaluation_of, folders_of
    from zoo.report.files import write_reports
    from zoo.runtimes.runtime import parse_device

    sleep_while_waiting()
    parse_device(device)
    if tolerance is not None and not baseline:
        raise UsageError("--tolerance says what may differ from --baseline RESULT.json; give that, too")
    refuse_uncounted(nets, manifests)
    subjects = find_subjects(nets, manifests)
    if verify:
        for subject in subjects:
            subject.verify_external_files()
    names = [subject.name for subject in subjects]
    earlier = _earlier_runs(baseline or [], names)
    reference = against if against in names and len(names) > 1 else None
    other = None if against is None or reference is not None else _other_run(against, names)
    choices = Choices(
        runtime=runtime,
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
    chosen = choose_nets(subjects, choices)
    folders = [
        folders_of(net, runtime, device, limit, _place(out, net.subject.name, len(names))) for net in chosen
    ]
    with (
        join_group(device) as group,
        hold_folders([folder for of_net in folders for folder in of_net], group),
        open_dataset(data or common_images(subjects), labels) as dataset,
    ):
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
                command=shlex.join(["dsd-zoo", *sys.argv[1:]]),
            )
            for net, of_net in zip(chosen, folders, strict=True)
        ]
        kept = [of_net[0] for of_net in folders]
        title = names[0] if len(names) == 1 else f"{len(names)} nets"
        with _interruption_explained(kept, group), progress_bar(title) as progress:
            runs = evaluate_and_write(evaluations, resume=resume, group=group, progress=progress)
        if group.rank:
            return
    placed = [list(zip(where, of_net, strict=True)) for where, of_net in zip(folders, runs, strict=True)]
    known = [subject.manifest for subject in subjects]
    findings = collect_pass(
        known, load_catalog(manifests), placed, earlier, tolerance, other, reference=reference
    )
    print_json(findings.to_json()) if json else print_pass(findings)
    # Last, so that the findings are printed even if a report cannot be written.
    write_reports(findings, junit, markdown, html)
    if not findings.holds:
        raise typer.Exit(1)


def _place(out: Path | None, name: str, nets: int) -> Path | None:
    """Where --out puts the evidence of a net: one net there, several in a folder each."""
    return out if out is None or nets == 1 else out / name


def _other_run(against: str, names: Sequence[str]) -> Run:
    """The run that --against names. UsageError if there is none, DataError if it is damaged."""
    from zoo.evidence.run import read_run

    if not Path(against).exists():
        raise UsageError(
            f"--against {against}: neither the result.json of a run nor another one of the nets given "
            f"here, {', '.join(names)}"
        )
    return read_run(Path(against))


def _earlier_runs(paths: Sequence[Path], names: Sequence[str]) -> dict[str, Run]:
    """The earlier run of each net. Where there are several, the name in the run says which net it is of.

    Raises:
        UsageError: a run is of none of the nets, or two are of the same one.
        DataError: a run cannot be read.
    """
    from zoo.evidence.run import read_run

    runs = [(path, read_run(path)) for path in paths]
    if len(names) == 1 and len(runs) == 1:
        return {names[0]: runs[0][1]}
    found: dict[str, Run] = {}
    for path, run in runs:
        model = run.result.model
        if model not in names:
            raise UsageError(f"--baseline {path}: a run of {model}, expected one of {', '.join(names)}")
        if model in found:
            raise UsageError(f"--baseline {path}: a second earlier run of {model}; give one for each net")
        found[model] = run
    return found


@contextlib.contextmanager
def _interruption_explained(folders: Sequence[Path], group: Group) -> Iterator[None]:
    """Say what is kept of a pass that Ctrl-C or the loss of a process ends, and how to continue it."""
    from zoo.evaluation.distributed import RankLostError
    from zoo.evidence import journal

    def kept() -> str:
        counts = [sum(len(batch.rows[0]) for batch in journal.read(folder).values()) for folder in folders]
        parts = [
            f"{count:,} images is kept in {folder}" for folder, count in zip(folders, counts, strict=True)
        ]
        return f"the evidence of {' and of '.join(parts)}; the same command with --resume goes on"

    try:
        yield
    except RankLostError as error:
        raise RankLostError(f"rank {group.rank} of {group.size}: {error}\n  {kept()}") from error
    except KeyboardInterrupt:
        print(f"dsd-zoo: interrupted; {kept()}", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None
