"""`dsd-zoo bench --train`: what a step of the training costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from zoo.cli._output import print_fields, print_json, print_table, say
from zoo.cli._subject import find_subject
from zoo.errors import UsageError
from zoo.vocabulary import Precision


def bench_training(
    net: Sequence[str],
    data: Path | None,
    labels: Path | None,
    recipe: str | None,
    manifests: Sequence[Path] | None,
    *,
    chosen: Mapping[str, Any],
    mean: Sequence[float] | Path | None,
    scores: str | None,
    batch_size: int | None,
    device: str,
    precision: Precision,
    seconds: float,
    json: bool,
) -> None:
    """Benchmark and print; the arguments are those of the command."""
    from dataclasses import asdict

    from zoo.datasets import open_dataset
    from zoo.training.benchmark import benchmark_training
    from zoo.training.inputs import is_embedded, training_inputs

    if data is None and not is_embedded(net):
        raise UsageError("say where the images are: --data SRC; a few hundred do")
    inputs = training_inputs(
        net,
        lambda names: find_subject(names, manifests),
        recipe=recipe or ("digits" if is_embedded(net) else "squeezenet-dsd"),
        data=data,
        test=data,
        seeds=(),
        scores=scores,
        chosen=chosen,
        mean=mean,
    )
    with open_dataset(data or inputs.data, labels) as images:
        times = benchmark_training(
            inputs, images, seconds, batch_size=batch_size, device=device, precision=precision
        )
    derived = {name: getattr(times, name) for name in ("dense_to_bare", "sparse_to_dense")}
    if json:
        print_json({"model": inputs.name, **asdict(times), **derived})
        return
    say(f"{inputs.name} on {device}, {precision}, batches of {times.batch_size}, {times.steps} steps each\n")
    lines = [
        ("bare PyTorch loop", f"{times.bare:,.2f}", ""),
        ("dense phase", f"{times.dense:,.2f}", f"{times.dense_to_bare:.2f} times the bare loop"),
        ("sparse phase", f"{times.sparse:,.2f}", f"{times.sparse_to_dense:.2f} times the dense phase"),
    ]
    print_table(("", "MS PER STEP", ""), lines, right=(1,))
    say("\nMedians of single steps, taken in turns.\n")
    print_fields(list(times.environment.items()))
