"""`dsd-zoo validate --runtime fastest`: which runtime that is, for the nets of one pass."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import UsageError
from zoo.vocabulary import RuntimeName

if TYPE_CHECKING:
    from zoo.evaluation.nets import Choices, ChosenNet
    from zoo.store.subject import Subject


def find_fastest(
    subjects: Sequence[Subject],
    choices: Choices,
    folder_of: Callable[[RuntimeName, ChosenNet], Path],
    data: Path | None,
    labels: Path | None,
    *,
    device: str,
    batch_size: int | None,
    resume: bool,
    restart: bool,
) -> tuple[RuntimeName, dict[str, str]]:
    """(the runtime, what the results note of the choice).

    A run goes on in the runtime of the evidence that is there, unless it shall `restart`.
    folder_of: where a run of a net in a runtime keeps its evidence.

    Raises:
        UsageError: the options do not fit the nets, or several processes would measure.
    """
    from zoo.datasets import open_dataset
    from zoo.evaluation.fastest import common_runtimes, fastest_runtime, runtime_of_evidence
    from zoo.evaluation.nets import choose_nets, common_images

    if "WORLD_SIZE" in os.environ:
        raise UsageError("--runtime fastest measures in one process; for several, name the runtime")
    able = common_runtimes(subjects, choices, device)
    # Finds what is wrong with the options before any image is read.
    first, *_ = choose_nets(subjects, replace(choices, runtime=able[0]))
    if not restart:
        found = runtime_of_evidence(able, lambda name: folder_of(name, first), resume)
        if found is not None:
            return found, {}
    with open_dataset(data or common_images(subjects), labels) as dataset:
        measured = fastest_runtime(subjects, choices, dataset, device, batch_size=batch_size)
    return measured.name, measured.noted
