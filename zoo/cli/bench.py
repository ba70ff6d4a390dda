"""`dsd-zoo bench MODEL | FILE... --data SRC`: how fast is a validation here, and what bounds it?"""

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
)
from zoo.cli._output import print_fields, print_json, print_table
from zoo.cli._subject import find_subject
from zoo.vocabulary import Precision

if TYPE_CHECKING:
    from zoo.evaluation.benchmark import Rates


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

    from zoo.cli._settings import settings_of
    from zoo.cli._subject import shipped_data
    from zoo.datasets import open_dataset
    from zoo.environment import sleep_while_waiting
    from zoo.evaluation.benchmark import bench as measure
    from zoo.evaluation.job import Job
    from zoo.evaluation.variants import Variant
    from zoo.runtimes import form_of
    from zoo.runtimes.runtime import parse_device
    from zoo.store.converted import converted

    sleep_while_waiting()
    parse_device(device)
    subject = find_subject(net, manifests)
    known = subject.manifest
    wanted = {"flavour": flavour, "crop": crop}
    preprocessing, made_for, mean_image = settings_of(subject, wanted, mean, None)
    ranked = scores or (known.scores if known is not None else None)
    with open_dataset(data or shipped_data(subject), labels) as dataset:
        shape = subject.image_shape(preprocessing.crop)
        job = Job(
            net=converted(subject.sources, form_of(runtime), subject.cache, shape, ranked),
            data=dataset,
            model=subject.name,
            mean_image=mean_image,
            scores=ranked,
            runtime=runtime,
            device=device,
            batch_size=batch_size,
            preprocess_on=preprocess_on,
        )
        rates = measure(job, Variant(preprocessing, made_for, precision), seconds)
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
