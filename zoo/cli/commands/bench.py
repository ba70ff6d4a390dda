"""`dsd-zoo bench MODEL | FILE... --data SRC`: the speed of a validation on this machine, and its bound."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
    ScoresOption,
    mean_option,
)
from zoo.cli._output import print_fields, print_json, print_table, say
from zoo.cli._subject import find_subject
from zoo.cli._tasks import refuse_uncounted
from zoo.cli.command import command
from zoo.errors import UsageError
from zoo.vocabulary import Precision, RuntimeName

if TYPE_CHECKING:
    from zoo.evaluation.benchmark import Rates


@command("bench", order=130)
def bench(
    net: NetArgument,
    data: Annotated[
        Path | None, typer.Option(metavar="SRC", help="Images, as for `dsd-zoo validate`; a few hundred do.")
    ] = None,
    labels: LabelsOption = None,
    runtime: Annotated[
        RuntimeName | None, typer.Option(help="What runs the net; by default all that are installed.")
    ] = None,
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
    train: Annotated[
        bool, typer.Option("--train", help="Benchmark training instead: a step of each phase.")
    ] = False,
    recipe: Annotated[
        str | None, typer.Option(metavar="RECIPE", help="With --train; default digits or squeezenet-dsd.")
    ] = None,
    json: JsonOption = False,
    manifests: ManifestsOption = None,
) -> None:
    """Benchmark decoding, inference and validation on this machine.

    All three in one run, in images a second, for each installed runtime, and which is the fastest.

    With a GPU the slower of the two bounds the validation. Without one they share the processors, and what
    that leaves is the bound: both one after the other. --json prints the rates, batch_size, at_once, bound,
    share_of_bound, share_of_slower and the environment; without --runtime those of each, and the fastest.

    --train times steps of `dsd-zoo train` in turns with those of a bare PyTorch loop over batches in memory;
    `digits` brings its images. --json prints bare, dense, sparse in milliseconds, dense_to_bare,
    sparse_to_dense, steps, batch_size and the environment.
    """
    from zoo.datasets import open_dataset
    from zoo.environment import sleep_while_waiting
    from zoo.evaluation.benchmark import benchmark
    from zoo.evaluation.job import job_for
    from zoo.evaluation.settings import runtimes_for, settings_for, shipped_images
    from zoo.evaluation.variants import Variant
    from zoo.runtimes.runtime import parse_device

    sleep_while_waiting()
    parse_device(device)
    if train:
        from zoo.cli._bench_train import bench_training

        bench_training(
            net,
            data,
            labels,
            recipe,
            manifests,
            chosen={"flavour": flavour, "crop": crop},
            mean=mean_option(mean),
            scores=scores,
            batch_size=batch_size,
            device=device,
            precision=precision,
            seconds=seconds,
            json=json,
        )
        return
    if recipe is not None:
        raise UsageError("--recipe is about training: give --train, too")
    refuse_uncounted(net, manifests)
    subject = find_subject(net, manifests).read_once()
    scores = subject.scores(scores)
    chosen = {"flavour": flavour, "crop": crop}
    names = [runtime] if runtime else runtimes_for(subject, parse_device(device)[0], precision)
    settings = settings_for(subject, names[0], scores, chosen, mean=mean_option(mean), asks_mean=False)
    variant = Variant(settings.preprocessing, settings.meant_for, precision)
    found: dict[RuntimeName, Rates] = {}
    with open_dataset(data or shipped_images(subject), labels) as dataset:
        for name in names:
            job = job_for(
                subject,
                settings,
                dataset,
                name,
                scores,
                device=device,
                batch_size=batch_size,
                preprocess_on=preprocess_on,
            )
            found[name] = benchmark(job, variant, seconds)
    if json and runtime:
        print_json({"model": subject.name, **_fields(found[runtime])})
    elif json:
        rates = {name: _fields(of_one) for name, of_one in found.items()}
        print_json({"model": subject.name, "fastest": _by_rate(found)[0], "runtimes": rates})
    elif runtime:
        say(f"{subject.name}, {runtime} on {device}, {precision}, {_batches(found[runtime])}\n")
        _print(found[runtime])
    else:
        say(f"{subject.name} on {device}, {precision}\n")
        _print_all(found)


def _fields(rates: Rates) -> dict[str, Any]:
    from dataclasses import asdict

    names = ("bound", "share_of_bound", "share_of_slower")
    return {**asdict(rates), **{name: getattr(rates, name) for name in names}}


def _batches(rates: Rates) -> str:
    return f"batches of {rates.batch_size}, {rates.at_once} at once"


def _by_rate(found: Mapping[RuntimeName, Rates]) -> list[RuntimeName]:
    """The runtimes, the fastest validation first."""
    return sorted(found, key=lambda name: -found[name].validation)


def _print_all(found: Mapping[RuntimeName, Rates]) -> None:
    """One line for each runtime, images a second."""
    order = _by_rate(found)
    lines = [
        (
            name,
            f"{found[name].decoding:,.1f}",
            f"{found[name].inference:,.1f}",
            f"{found[name].validation:,.1f}",
            _batches(found[name]),
        )
        for name in order
    ]
    print_table(("RUNTIME", "DECODING", "INFERENCE", "VALIDATION", ""), lines, right=(1, 2, 3))
    say("Images a second. VALIDATION: decoding and inference together, as dsd-zoo validate runs.\n")
    say(f"The fastest for this net on this machine: --runtime {order[0]}\n")
    environment = {key: value for rates in found.values() for key, value in rates.environment.items()}
    print_fields([(key, value) for key, value in environment.items() if key not in ("threads", "provider")])


def _print(rates: Rates) -> None:
    lines = [
        ("decoding alone", f"{rates.decoding:,.1f}"),
        ("inference alone", f"{rates.inference:,.1f}"),
        ("validation", f"{rates.validation:,.1f}"),
    ]
    print_table(("", "IMAGES/S"), lines, right=(1,))
    say(f"\n{100 * rates.share_of_slower:.0f} % of the slower of the two")
    if rates.shared:
        say(
            f"bound by sharing: on the same processors both can do {rates.bound:,.1f} images/s, "
            f"of which {100 * rates.share_of_bound:.0f} % are reached"
        )
    print()
    print_fields(list(rates.environment.items()))
