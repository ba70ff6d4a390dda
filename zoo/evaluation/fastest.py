"""The fastest of the installed runtimes for the nets of a pass, measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from zoo.datasets import Dataset
from zoo.errors import DataError
from zoo.evaluation.benchmark import inference_rate
from zoo.evaluation.job import job_for
from zoo.evaluation.nets import Choices, choose_nets
from zoo.evaluation.settings import runtimes_for
from zoo.evidence import journal
from zoo.evidence.run import read_run
from zoo.runtimes.runtime import parse_device
from zoo.store.subject import Subject
from zoo.vocabulary import RuntimeName

# How long each runtime is measured with each net.
SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class FastestRuntime:
    """The chosen runtime. rates: images a second by runtime; empty if there was nothing to choose from."""

    name: RuntimeName
    rates: Mapping[RuntimeName, float] = field(default_factory=dict)

    @property
    def noted(self) -> dict[str, str]:
        """What the environment of the result says of the choice."""
        rates = ", ".join(f"{name} {rate:.1f}" for name, rate in self.rates.items())
        return {"fastest of": f"{rates} images/s"} if rates else {}


def common_runtimes(subjects: Sequence[Subject], choices: Choices, device: str) -> list[RuntimeName]:
    """The installed runtimes that can run all these nets. UsageError if there is none for one of them."""
    kind, _ = parse_device(device)
    first, *others = [runtimes_for(subject, kind, choices.precision) for subject in subjects]
    return [name for name in first if all(name in other for other in others)] or first


def fastest_runtime(
    subjects: Sequence[Subject],
    choices: Choices,
    data: Dataset,
    device: str,
    **options: Any,  # noqa: ANN401
) -> FastestRuntime:
    """Rank images in each net with each runtime for about a second, and take the fastest over all nets.

    options: the other fields of `Job`. Errors as for `choose_nets`, `job_for` and `inference_rate`.
    """
    names = common_runtimes(subjects, choices, device)
    if len(names) == 1:
        return FastestRuntime(names[0])
    rates = {}
    for name in names:
        seconds = 0.0
        for net in choose_nets(subjects, replace(choices, runtime=name)):
            job = job_for(net.subject, net.settings, data, name, net.scores, device=device, **options)
            seconds += 1 / inference_rate(job, net.variants[0], SECONDS)
        rates[name] = 1 / seconds
    return FastestRuntime(max(rates, key=lambda name: rates[name]), rates)


def runtime_of_evidence(
    names: Sequence[RuntimeName], folder_of: Callable[[RuntimeName], Path], finished: bool
) -> RuntimeName | None:
    """The runtime of the evidence that an unfinished run of a net left; None without any.

    folder_of: where a run in a runtime keeps its evidence; it may be the same for all.
    finished: take that of a finished run where there is no unfinished one.
    """
    for name in names:
        plan = journal.read_plan(folder_of(name))
        if plan is not None and (plan.get("runtime") or [None])[0] == name:
            return name
    for name in names if finished else ():
        try:
            if read_run(folder_of(name)).result.runtime == name:
                return name
        except DataError:
            continue
    return None
