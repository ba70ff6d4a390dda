"""Images through a net, counted: from encoded bytes to top-1 and top-5, with evidence for every image.

Images are grouped into batches by their position in the dataset. Threads read, decode and preprocess ahead;
the next batch is copied to the device while the net computes this one (`zoo.evaluation.batches`). Every
finished batch is written to disk at once (`zoo.evidence.journal`). Several processes take the batches in
turns (`zoo.evaluation.distributed`). Which process computes a batch, and when, does not change its scores.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from zoo.datasets import Dataset
from zoo.environment import environment
from zoo.errors import DataError, UsageError
from zoo.evaluation.batches import rank_batches, samples_of_batch
from zoo.evaluation.distributed import Group, SingleProcess
from zoo.evaluation.job import Job
from zoo.evaluation.label_order import AS_GIVEN, IMAGES_CHECKED, detect_label_order
from zoo.evaluation.plan import agreed_batch_size, check_same_plan, evaluation_plan, start
from zoo.evaluation.results import gather, run_of
from zoo.evaluation.sessions import BatchPlan, Session, choose_batch_size, open_sessions, plan_batches
from zoo.evaluation.variants import Variant
from zoo.evidence import journal
from zoo.evidence.journal import Batch, Journal
from zoo.evidence.run import Row, Run, write_run
from zoo.preprocessing.settings import Preprocessing
from zoo.vocabulary import Precision, RuntimeName

Progress = Callable[[int, int], None]


def evaluate(
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
    """Rank the images of `data` with a converted net and count: one variant, in one process.

    The options are those of `Job`; progress is called with (images done, images in all) after each batch.

    Raises:
        UsageError: net, preprocessing and options do not fit together.
        DataError: an image cannot be read, a label is no class of the net, or the labels evidently number
            the classes in another way.
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
    return evaluate_variants(job, [Variant(preprocessing, precision=precision)], progress=progress)[0]


def evaluate_and_write(
    job: Job,
    variants: Sequence[Variant],
    folders: Sequence[Path],
    *,
    resume: bool = False,
    group: Group | None = None,
    progress: Progress | None = None,
) -> list[Run]:
    """`evaluate_variants`, after which rank 0 writes each run into its own one of `folders`.

    During the run, every machine keeps the evidence of its share in its first folder. The caller holds the
    folders (`zoo.evaluation.folders`).
    """
    group = group or SingleProcess()
    runs = evaluate_variants(job, variants, folder=folders[0], resume=resume, group=group, progress=progress)
    if group.rank == 0:
        for folder, run in zip(folders, runs, strict=True):
            write_run(folder, run, journal.RESUME)
    # No process removes its part before the whole is written.
    group.broadcast(None)
    journal.finish(folders[0])
    return runs


def evaluate_variants(
    job: Job,
    variants: Sequence[Variant],
    *,
    folder: Path | None = None,
    resume: bool = False,
    group: Group | None = None,
    progress: Progress | None = None,
) -> list[Run]:
    """Rank the images under several variants in one pass; returns one run for each, in their order.

    folder: where every machine keeps evidence during the run; None: nowhere. Afterwards the caller's rank 0
        writes the runs, and then all processes call `zoo.evidence.journal.finish`.
    resume: continue from what an interrupted run left in `folder` on any machine.
    group: the processes that share the work; every process gets all runs.
    progress: as for `evaluate`, but counts the share of this process only.

    Raises:
        UsageError, DataError, DeviceError: as `evaluate`.
        RankLostError: another process of the run has ended.
        converters.SourceChangedError: a file of the net changed while it was loaded.
    """
    group = group or SingleProcess()
    if job.limit is not None and job.limit < 1:
        raise UsageError(f"the limit must be 1 image or more, not {job.limit}")
    states = job.all_states()
    with open_sessions(job, variants, group) as sessions:
        files, runtimes = job.all_files(), [session.runtime.describe() for session in sessions]
        for state in states:  # the hashes are those of the files that were loaded
            state.check()
        chosen = choose_batch_size(job, sessions, variants, group)
        size = agreed_batch_size(job, folder if resume else None, chosen, group)
        plan = evaluation_plan(job, variants, files, runtimes[0], size)
        check_same_plan(plan, group)
        resumed = {} if folder is None else start(folder, plan, resume, group)
        started = datetime.now(UTC).isoformat(timespec="seconds")
        clock = time.perf_counter()
        with _open_journal(folder, group) as write_down:
            batch_plan = plan_batches(job, sessions, variants, group, size)
            own = list(_own_batches(job, sessions, batch_plan, resumed, group, write_down, progress))
        seconds = time.perf_counter() - clock
    gathered = gather(job, group, own, resumed, seconds)
    return [
        run_of(
            job,
            variant,
            gathered,
            at,
            batch_size=size,
            files=files,
            environment={**environment(), **runtimes[at]},
            started=started,
            processes=group.size,
        )
        for at, variant in enumerate(variants)
    ]


@contextlib.contextmanager
def _open_journal(folder: Path | None, group: Group) -> Iterator[Callable[[Batch], None]]:
    """The function that writes a finished batch down; one that does nothing if there is no folder."""
    if folder is None:
        yield lambda batch: None
        return
    with contextlib.closing(Journal(folder, f"rank{group.rank}-of-{group.size}")) as file:
        yield file.append


def _own_batches(
    job: Job,
    sessions: Sequence[Session],
    batch_plan: BatchPlan,
    resumed: Mapping[int, Batch],
    group: Group,
    write_down: Callable[[Batch], None],
    progress: Progress | None,
) -> Iterator[Batch]:
    """This process's share of the batches that are left to do: every `group.size`-th of them."""
    size = batch_plan.size
    left = [number for number in range(-(-len(job.samples) // size)) if number not in resumed]
    numbers = left[group.rank :: group.size]
    total = sum(len(samples_of_batch(job.samples, size, number)) for number in numbers)
    rows: list[Row] = []
    done, checked = 0, False
    for batch in rank_batches(job, sessions, batch_plan, numbers):
        write_down(batch)
        group.heartbeat(batch.number)
        if not checked:
            rows += batch.rows[0]
        if not checked and (len(rows) >= IMAGES_CHECKED or batch.number == numbers[-1]):
            _check_label_order(job, rows[:IMAGES_CHECKED])
            checked = True
        done += len(samples_of_batch(job.samples, size, batch.number))
        if progress is not None:
            progress(done, total)
        yield batch


def _check_label_order(job: Job, rows: Sequence[Row]) -> None:
    order = detect_label_order([row.label for row in rows], [row.top5[0] for row in rows])
    if order is not None and order.name != AS_GIVEN:
        raise DataError(
            f"{job.data.source}: labels from {job.data.labels_source} are in another order than the net's "
            f"classes, as the first {len(rows)} images show: {order.advice}"
        )
