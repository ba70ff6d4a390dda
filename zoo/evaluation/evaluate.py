"""Images through a net, counted: from encoded bytes to top-1 and top-5, with evidence for every image.

Images fall into batches by their place in the dataset. Threads read, decode and preprocess ahead, the next
batch is copied to the device while the net works on this one (`zoo.evaluation.batches`), and every batch is
written down when it is done (`zoo.evidence.journal`). Several processes take turns with the batches
(`zoo.evaluation.distributed`). Which process computes a batch, and when, changes nothing in its scores.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from zoo.datasets import Dataset
from zoo.environment import environment
from zoo.errors import DataError, UsageError
from zoo.evaluation.batches import batch_items, rank_batches
from zoo.evaluation.distributed import Group, SingleProcess
from zoo.evaluation.job import Job, plan_of
from zoo.evaluation.label_order import AS_GIVEN, IMAGES_ASKED, detect_label_order
from zoo.evaluation.sessions import Batching, Session, choose_batch_size, open_sessions, plan_batches
from zoo.evaluation.variants import Variant
from zoo.evidence import journal
from zoo.evidence.journal import Batch, Journal
from zoo.evidence.run import Result, Row, Run
from zoo.preprocessing.settings import Preprocessing
from zoo.vocabulary import Precision, RuntimeName

__all__ = ["Job", "Run", "Variant", "measure", "validate"]
Progress = Callable[[int, int], None]


def validate(
    net: Path,
    data: Dataset,
    preprocessing: Preprocessing,
    *,
    model: str,
    mean_image: Path | None = None,
    scores: str | None = None,
    runtime: RuntimeName = "onnx",
    device: str = "cpu",
    batch_size: int | None = None,
    limit: int | None = None,
    precision: Precision = "float32",
    files: Mapping[str, str] | None = None,
    skip_unreadable: bool = False,
    command: str = "",
    progress: Progress | None = None,
) -> Run:
    """Rank the images of `data` with a converted net and count: `measure` for one variant, in one process.

    The options are those of `Job`; progress is called with (images done, images in all) after each batch.

    Raises:
        UsageError: net, preprocessing and options do not fit together.
        DataError: an image cannot be read, a label is no class of the net, or the labels are evidently
            counted in another way.
        DeviceError: the device or the precision is not available.
    """
    job = Job(
        net=net,
        data=data,
        model=model,
        mean_image=mean_image,
        scores=scores,
        runtime=runtime,
        device=device,
        batch_size=batch_size,
        limit=limit,
        files=files or {},
        skip_unreadable=skip_unreadable,
        command=command,
    )
    return measure(job, [Variant(preprocessing, precision=precision)], progress=progress)[0]


def measure(
    job: Job,
    variants: Sequence[Variant],
    *,
    folder: Path | None = None,
    resume: bool = False,
    group: Group | None = None,
    progress: Progress | None = None,
) -> list[Run]:
    """Rank the images under several variants in one pass; one run for each, in their order.

    folder: where evidence is kept while the run is under way, on each machine; None: nowhere. Rank 0 of
        whoever calls writes the runs, and then all call `zoo.evidence.journal.finish`.
    resume: go on from what an interrupted run left in `folder` on any machine.
    group: the processes that share the work; all of them return all runs.
    progress: as for `validate`, about this process's share.

    Raises:
        UsageError, DataError, DeviceError: as `validate`.
        RankLostError: another process of the run is gone.
    """
    group = group or SingleProcess()
    if job.limit is not None and job.limit < 1:
        raise UsageError(f"the limit must be 1 image or more, not {job.limit}")
    with open_sessions(job, variants, group) as sessions:
        files, about = job.all_files(), [session.runtime.describe() for session in sessions]
        chosen = choose_batch_size(job, sessions, variants, group)
        size = _agreed_batch_size(job, folder if resume else None, chosen, group)
        plan = plan_of(job, variants, files, about[0], size)
        _check_same_plan(plan, group)
        before = {} if folder is None else _start(folder, plan, resume, group)
        started = datetime.now(UTC).isoformat(timespec="seconds")
        clock = time.perf_counter()
        with _kept(folder, group) as keep:
            batching = plan_batches(job, sessions, variants, group, size)
            own = list(_own_batches(job, sessions, batching, before, group, keep, progress))
        seconds = time.perf_counter() - clock
    tally = _gather(job, group, own, before, seconds)
    return [
        _run(job, variant, tally, at, size, files, {**environment(), **about[at]}, started, group.size)
        for at, variant in enumerate(variants)
    ]


@dataclass(frozen=True, slots=True)
class _Tally:
    """What came of all images; `seconds` is the time of the slowest process, `resumed` images are older."""

    batches: list[Batch]
    seconds: float
    resumed: int


def _agreed_batch_size(job: Job, folder: Path | None, chosen: int, group: Group) -> int:
    """That of the interrupted run in `folder`, on whichever machine it is; without one, what rank 0 chose."""
    before = [group.broadcast(_batch_size_before(job, folder), source=rank) for rank in range(group.size)]
    return next(filter(None, before), None) or group.broadcast(chosen)


def _batch_size_before(job: Job, folder: Path | None) -> int | None:
    """What was chosen for the interrupted run in `folder`, where this one leaves it open."""
    plan = None if folder is None or job.batch_size is not None else journal.read_plan(folder)
    return None if plan is None or plan.get("model") != job.model else plan.get("batch size")


def _check_same_plan(plan: Mapping[str, Any], group: Group) -> None:
    """UsageError, in all processes, if one measures something else, such as other images on its machine."""
    plans = [group.broadcast(plan, source=rank) for rank in range(group.size)]
    for rank, other in enumerate(plans):
        if different := [name for name in plan if other[name] != plans[0][name]]:
            raise UsageError(
                f"rank {rank} does not measure what rank 0 measures: different {', '.join(different)}; "
                "every machine needs the same net, images, options and versions"
            )


def _start(folder: Path, plan: Mapping[str, Any], resume: bool, group: Group) -> dict[int, Batch]:
    """Makes `folder` ready on every machine; the batches that any of them has from before.

    One process after the other: whoever finds the mark of this run shares a folder with an earlier one.
    """
    run = group.broadcast(secrets.token_hex(8))
    mark = folder / journal.FOLDER_NAME / "run"
    before: dict[int, Batch] = {}
    for rank in range(group.size):
        found: dict[int, Batch] = {}
        if rank == group.rank and not (mark.is_file() and mark.read_text(encoding="ascii") == run):
            found = journal.start(folder, plan, resume)
            mark.write_text(run, encoding="ascii")
        before |= group.broadcast(found, source=rank)
    return before


@contextlib.contextmanager
def _kept(folder: Path | None, group: Group) -> Iterator[Callable[[Batch], None]]:
    """What to call with a batch that is done."""
    if folder is None:
        yield lambda batch: None
        return
    with contextlib.closing(Journal(folder, f"rank{group.rank}-of-{group.size}")) as file:
        yield file.append


def _own_batches(
    job: Job,
    sessions: Sequence[Session],
    batching: Batching,
    before: Mapping[int, Batch],
    group: Group,
    keep: Callable[[Batch], None],
    progress: Progress | None,
) -> Iterator[Batch]:
    """This process's part of the batches that are not done yet: every `group.size`-th of them."""
    size = batching.size
    left = [number for number in range(-(-len(job.items) // size)) if number not in before]
    numbers = left[group.rank :: group.size]
    total = sum(len(batch_items(job.items, size, number)) for number in numbers)
    rows: list[Row] = []
    done, asked = 0, False
    for batch in rank_batches(job, sessions, batching, numbers):
        keep(batch)
        group.heartbeat(batch.number)
        if not asked:
            rows += batch.rows[0]
        if not asked and (len(rows) >= IMAGES_ASKED or batch.number == numbers[-1]):
            _check_order(job, rows[:IMAGES_ASKED])
            asked = True
        done += len(batch_items(job.items, size, batch.number))
        if progress is not None:
            progress(done, total)
        yield batch


def _check_order(job: Job, rows: Sequence[Row]) -> None:
    order = detect_label_order([row.label for row in rows], [row.top5[0] for row in rows])
    if order is not None and order.name != AS_GIVEN:
        raise DataError(
            f"{job.data.source}: labels from {job.data.labels_source} are in another order than the net's "
            f"classes, as the first {len(rows)} images show: {order.advice}"
        )


def _gather(
    job: Job, group: Group, own: Sequence[Batch], before: Mapping[int, Batch], seconds: float
) -> _Tally:
    """The batches of all processes, after a check that every image is there once."""
    gathered = group.all_gather((list(own), seconds))
    came = [batch for part, _ in gathered for batch in part]
    if group.all_reduce(_sums(own)) != _sums(came):
        raise DataError("the evidence that was gathered is not what the processes counted")
    batches = {batch.number: batch for batch in (*before.values(), *came)}
    images = sum(len(batch.rows[0]) + len(batch.unreadable) for batch in batches.values())
    if images != len(job.items) or len(batches) != len(before) + len(came):
        raise DataError(f"{images} images were ranked or left out, but there are {len(job.items)}")
    if not any(batch.rows[0] for batch in batches.values()):
        raise DataError(f"{job.data.source}: none of its {len(job.items)} images could be read")
    return _Tally(
        [batches[number] for number in sorted(batches)],
        max(seconds for _, seconds in gathered),
        sum(len(batch.rows[0]) for batch in before.values()),
    )


def _sums(batches: Sequence[Batch]) -> list[int]:
    rows = [row for batch in batches for rows in batch.rows for row in rows]
    return [len(rows), sum(row.top1_correct for row in rows), sum(row.top5_correct for row in rows)]


def _run(
    job: Job,
    variant: Variant,
    tally: _Tally,
    at: int,
    size: int,
    files: dict[str, str],
    about: dict[str, str],
    started: str,
    processes: int,
) -> Run:
    rows = [row for batch in tally.batches for row in batch.rows[at]]
    result = Result(
        model=job.model,
        n=len(rows),
        n_dataset=len(job.data),
        top1_correct=sum(row.top1_correct for row in rows),
        top5_correct=sum(row.top5_correct for row in rows),
        dataset=job.data.name,
        dataset_source=job.data.source,
        labels=job.data.labels_source,
        flavour=variant.preprocessing.flavour,
        preprocessing=variant.settings(),
        runtime=job.runtime,
        device=job.device,
        precision=variant.precision,
        batch_size=size,
        files=files,
        environment=about,
        command=job.command,
        started=started,
        seconds=round(tally.seconds, 3),
        images_per_second=round((len(rows) - tally.resumed) / tally.seconds, 2),
        processes=processes,
        resumed=tally.resumed,
        unreadable=[name for batch in tally.batches for name in batch.unreadable],
        exif_rotated=sum(batch.rotated for batch in tally.batches),
    )
    return Run(result, rows)
