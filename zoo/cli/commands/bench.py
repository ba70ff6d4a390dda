"""`dsd-zoo bench MODEL | FILE... --data SRC`: the speed of a validation on this machine, and its bound."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

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
    mean_option,
)
from zoo.cli._output import print_fields, print_json, print_table
from zoo.cli._subject import find_counted_subject
from zoo.cli.command import command
from zoo.vocabulary import Precision

if TYPE_CHECKING:
    from zoo.evaluation.benchmark import Rates


@command("bench", order=130)
def bench(
    net: NetArgument,
    data: Annotated[
        Path | None, typer.Option(metavar="SRC", help="Images, as for `dsd-zoo validate`; a few hundred do.")
    ] = None,
    labels: LabelsOption = None,
    runtime: RuntimeOption = "onnx",
    device: DeviceOption = "cpu",
    precision: Annotated[Precision, typer.Option(help="Arithmetic.")] = "float32",
    batch_size: BatchSizeOption = None,
    scores: ScoresOption = None,
    flavour: FlavourOption = None,
    crop: CropOption = None,
    mean: MeanOption = None,
    preprocess_on: PreprocessOnOption = "host",
    seconds: Annotated[
        float, typer.Option(min=0.1, metavar="S", help="How long each of the three is measured.")
    ] = 5,
    json: JsonOption = False,
    manifests: ManifestsOption = None,
) -> None:
    """Benchmark decoding, inference and validation on this machine.

    All three in one run, in images a second. With a GPU the slower of the two bounds the validation. Without
    one they share the processors, and what that leaves is the bound: both one after the other.
    --json prints the rates, batch_size, at_once, bound, share_of_bound, share_of_slower and the environment.
    """
    from dataclasses import asdict

    from zoo.datasets import open_dataset
    from zoo.environment import sleep_while_waiting
    from zoo.evaluation.benchmark import benchmark
    from zoo.evaluation.job import job_for
    from zoo.evaluation.settings import settings_for, shipped_images
    from zoo.evaluation.variants import Variant
    from zoo.runtimes.runtime import parse_device

    sleep_while_waiting()
    parse_device(device)
    subject = find_counted_subject(net, manifests)
    scores = subject.scores(scores)
    chosen = {"flavour": flavour, "crop": crop}
    settings = settings_for(subject, runtime, scores, chosen, mean=mean_option(mean))
    with open_dataset(data or shipped_images(subject), labels) as dataset:
        job = job_for(
            subject,
            settings,
            dataset,
            runtime,
            scores,
            device=device,
            batch_size=batch_size,
            preprocess_on=preprocess_on,
        )
        rates = benchmark(job, Variant(settings.preprocessing, settings.meant_for, precision), seconds)
    if json:
        names = ("bound", "share_of_bound", "share_of_slower")
        derived = {name: getattr(rates, name) for name in names}
        print_json({"model": subject.name, **asdict(rates), **derived})
    else:
        batches = f"batches of {rates.batch_size}, {rates.at_once} at once"
        print(f"{subject.name}, {runtime} on {device}, {precision}, {batches}\n")
        _print(rates)


def _print(rates: Rates) -> None:
    lines = [
        ("decoding alone", f"{rates.decoding:,.1f}"),
        ("inference alone", f"{rates.inference:,.1f}"),
        ("validation", f"{rates.validation:,.1f}"),
    ]
    print_table(("", "IMAGES/S"), lines, right=(1,))
    print(f"\n{100 * rates.share_of_slower:.0f} % of the slower of the two")
    if rates.shared:
        print(
            f"bound by sharing: on the same processors both can do {rates.bound:,.1f} images/s, "
            f"of which {100 * rates.share_of_bound:.0f} % are reached"
        )
    print()
    print_fields(list(rates.environment.items()))
