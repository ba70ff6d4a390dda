"""The plan of a run: everything its scores depend on, the same in all processes and after an interruption."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from zoo.errors import UsageError
from zoo.evaluation.distributed import Group
from zoo.evaluation.job import Job
from zoo.evaluation.variants import Variant
from zoo.evidence import journal
from zoo.evidence.journal import Batch
from zoo.files import cannot_write
from zoo.runtimes import all_runtimes

# Larger than any device takes at a time.
MOST_BATCH = 1 << 20


def evaluation_plan(
    job: Job,
    variants: Sequence[Variant],
    files: Mapping[str, str],
    runtime: Mapping[str, str],
    batch_size: int,
) -> dict[str, Any]:
    """Everything that the scores depend on, and the order of the images; `zoo.evidence.journal` compares it.

    runtime: what the runtime reports of itself (`Runtime.describe`).
    """
    samples = job.samples
    labels = "\n".join(f"{name} {label}" for name, label in zip(samples.names, samples.labels, strict=True))
    return {
        "model": job.model,
        "images": len(samples),
        "names and labels": hashlib.sha256(labels.encode()).hexdigest(),
        "files": dict(files),
        "preprocessing": [variant.settings() for variant in variants],
        "preprocess on": job.preprocess_on,
        "precision": [variant.precision for variant in variants],
        "runtime": [job.runtime, *(runtime[name] for name in all_runtimes()[job.runtime].packages)],
        "device": job.device.partition(":")[0],
        "scores": job.scores,
        "batch size": batch_size,
    }


def agreed_batch_size(job: Job, folder: Path | None, chosen: int, group: Group) -> int:
    """The batch size for all processes: that of the interrupted run in `folder`, or else rank 0's choice.

    The folder of the interrupted run may be on any machine.
    """
    before = [group.broadcast(_batch_size_before(job, folder), source=rank) for rank in range(group.size)]
    return next(filter(None, before), None) or group.broadcast(chosen)


def _batch_size_before(job: Job, folder: Path | None) -> int | None:
    """The batch size of the interrupted run in `folder`; None if the job asks for one itself."""
    plan = None if folder is None or job.batch_size is not None else journal.read_plan(folder)
    size = None if plan is None or plan.get("model") != job.model else plan.get("batch size")
    # What is no size here differs from this run's own, and the plans are compared.
    return size if isinstance(size, int) and not isinstance(size, bool) and 0 < size <= MOST_BATCH else None


def check_same_plan(plan: Mapping[str, Any], group: Group) -> None:
    """UsageError, in all processes, if the plan of one differs, for example in the images on its machine."""
    plans = [group.broadcast(plan, source=rank) for rank in range(group.size)]
    for rank, other in enumerate(plans):
        if different := [name for name in plan if other[name] != plans[0][name]]:
            raise UsageError(
                f"rank {rank} does not measure what rank 0 measures: different {', '.join(different)}; "
                "every machine needs the same net, images, options and versions"
            )


def start_all(
    folders: Sequence[Path | None],
    plans: Sequence[Mapping[str, Any]],
    resume: bool,
    restart: bool,
    group: Group,
) -> list[dict[int, Batch]]:
    """`start` for each net of a pass; for a net without a folder there is nothing to resume.

    If there are several, no folder is touched before all are found to be in order.
    """
    if len(plans) > 1:
        for folder, plan in zip(folders, plans, strict=True):
            if folder is not None:
                journal.check(folder, plan, resume, restart)
    # Each process waits here for what all others say, so none touches a folder that another still checks.
    for plan in plans:
        check_same_plan(plan, group)
    return [
        {} if folder is None else start(folder, plan, resume, restart, group)
        for folder, plan in zip(folders, plans, strict=True)
    ]


def start(
    folder: Path, plan: Mapping[str, Any], resume: bool, restart: bool, group: Group
) -> dict[int, Batch]:
    """Make `folder` ready on every machine; returns the batches that an interrupted run left on any of them.

    One process does it after the other. One that finds the id of this run in its folder shares that folder
    with an earlier process.
    """
    run_id = group.broadcast(secrets.token_hex(8))
    id_file = folder / journal.FOLDER_NAME / "run"
    before: dict[int, Batch] = {}
    for rank in range(group.size):
        found: dict[int, Batch] = {}
        if rank == group.rank and not (id_file.is_file() and id_file.read_text(encoding="ascii") == run_id):
            found = journal.start(folder, plan, resume, restart)
            try:
                id_file.write_text(run_id, encoding="ascii")
            except OSError as error:
                raise cannot_write(id_file, "the evidence", error) from error
        before |= group.broadcast(found, source=rank)
    return before
