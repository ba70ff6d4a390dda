"""`dsd-zoo train NET --data TRAIN --test TEST --recipe RECIPE`: Dense-Sparse-Dense, and what it gained."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from zoo.cli._completion import complete_nets
from zoo.cli._options import (
    CropOption,
    DeviceOption,
    FlavourOption,
    JsonOption,
    LabelsOption,
    ManifestsOption,
    MeanOption,
    ScaleOption,
    ScoresOption,
    StdOption,
    mean_option,
    numbers,
)
from zoo.cli._output import print_json, say
from zoo.cli._subject import find_subject
from zoo.cli.command import command
from zoo.errors import InterruptedRunError, UsageError
from zoo.vocabulary import Precision


@command("train", order=125)
def train(
    net: Annotated[
        list[str],
        typer.Argument(
            metavar="NET...",
            help="A model of the zoo, the files of a net, a Caffe definition alone, or `digits` (offline).",
            autocompletion=complete_nets,
        ),
    ],
    data: Annotated[
        Path | None, typer.Option(metavar="SRC", help="Training images, as for `dsd-zoo validate`.")
    ] = None,
    labels: LabelsOption = None,
    test: Annotated[
        Path | None, typer.Option(metavar="SRC", help="Images to measure with; they are never trained on.")
    ] = None,
    test_labels: Annotated[
        Path | None, typer.Option(metavar="FILE", help="As --labels, for the images of --test.")
    ] = None,
    recipe: Annotated[
        str | None, typer.Option(metavar="RECIPE", help="digits, squeezenet-dsd, or a file RECIPE.toml.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="RUN", help="Folder; default runs/NET-RECIPE.")
    ] = None,
    seed: Annotated[
        list[int] | None, typer.Option(metavar="N", min=0, help="This seed instead; may be repeated.")
    ] = None,
    device: DeviceOption = "cpu",
    precision: Annotated[Precision, typer.Option(help="float32, tf32 or bf16.")] = "float32",
    scores: ScoresOption = None,
    flavour: FlavourOption = None,
    crop: CropOption = None,
    mean: MeanOption = None,
    std: StdOption = None,
    scale: ScaleOption = None,
    checkpoint_every: Annotated[
        int | None,
        typer.Option(metavar="STEPS", min=1, help="Also within an epoch; default every ten minutes."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where a training was ended.")] = False,
    json: JsonOption = False,
    manifests: ManifestsOption = None,
) -> None:
    """Train a net by Dense-Sparse-Dense beside a fair baseline, and say what it gained.

    The baseline starts from the same dense net, and is trained as long, with the same learning rates, images
    and random numbers, without a mask. The last weights of each phase count. RUN holds the nets as models
    for --manifests of other commands, their evidence and everything else; --resume goes on after any end.
    Several processes train together: torchrun --nproc-per-node=N -m zoo train ...

    --json prints out (the folder) and verdicts (by metric: gains by seed with McNemar's test, their mean
    with its interval).
    """
    from converters import extras
    from zoo.datasets import open_dataset
    from zoo.environment import sleep_while_waiting
    from zoo.evaluation.distributed import join_group
    from zoo.runtimes.runtime import parse_device
    from zoo.store.cache import Cache

    extras.require("torch", "training")
    sleep_while_waiting()
    parse_device(device)
    from zoo.training.inputs import is_embedded, training_inputs

    if is_embedded(net):
        places = [data, labels, test, test_labels]
        if any(place is not None for place in places):
            raise UsageError("digits brings its images; leave --data, --labels, --test, --test-labels out")
    from zoo.cli._train_text import print_verdicts, shown_progress
    from zoo.report.training import write_training_page
    from zoo.training.train import train as run

    inputs = training_inputs(
        net,
        lambda names: find_subject(names, manifests),
        recipe=recipe,
        data=data,
        test=test,
        seeds=seed or (),
        scores=scores,
        chosen={"flavour": flavour, "crop": crop, "std": numbers("std", std), "scale": scale},
        mean=mean_option(mean),
    )
    indexes = Cache().root / "folders"
    out = out or Path("runs") / inputs.default_name
    with (
        open_dataset(inputs.data, labels, indexes) as images,
        open_dataset(inputs.test, test_labels, indexes) as measured,
        join_group(device) as group,
    ):
        job = inputs.job(
            images,
            measured,
            device=device,
            precision=precision,
            steps_per_checkpoint=checkpoint_every,
            command=shlex.join(["dsd-zoo", *sys.argv[1:]]),
        )
        try:
            with shown_progress(silent=group.rank > 0) as progress:
                verdicts = run(job, out, resume=resume, group=group, progress=progress)
        except KeyboardInterrupt:
            raise InterruptedRunError(
                f"interrupted; the same command with --resume goes on in {out}"
            ) from None
        if group.rank:
            return
    page = write_training_page(out)
    if json:
        print_json({"out": str(out), "verdicts": [verdict.to_json() for verdict in verdicts]})
    else:
        print_verdicts(verdicts, out)
        say(f"the whole story: {page}")
