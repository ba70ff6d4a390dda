"""Images through a net, counted: from encoded bytes to top-1 and top-5, with evidence for every image.

Images are grouped into batches by their position in the dataset. Threads read, decode and preprocess ahead;
the next batch is copied to the device while the net computes this one (`zoo.evaluation.batches`). Every
finished batch is written to disk at once (`zoo.evidence.journal`). Several processes take the batches in
turns (`zoo.evaluation.distributed`). Which process computes a batch, and when, does not change its scores.

Several nets, and several variants of each, can share one pass over the images. Every net keeps its evidence
in a folder of its own, as if it were alone.
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
from zoo.evaluation.finished import finished_runs
from zoo.evaluation.job import Evaluation, Job, named_if
from zoo.evaluation.label_order import AS_GIVEN, IMAGES_CHECKED, detect_label_order
from zoo.evaluation.plan import agreed_batch_size, evaluation_plan, start_all
from zoo.evaluation.results import gather, runs_of
from zoo.evaluation.sessions import BatchPlan, Session, choose_batch_size, open_sessions, plan_batches
from zoo.evaluation.variants import Variant
from zoo.evidence import journal
from zoo.evidence.journal import Batch, Journal
from zoo.evidence.rows import Rows
from zoo.evidence.run import Run, write_run
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
    evaluations: Sequence[Evaluation],
    *,
    resume: bool = False,
    restart: bool = False,
    complete: Callable[[Path], None] | None = None,
    group: Group | None = None,
    progress: Progress | None = None,
) -> list[list[Run]]:
    """Rank the images in every net under its variants, in one pass; returns the runs of each net.

    Each image is read and decoded once for all nets, and prepared once for each different preprocessing. The
    jobs differ in what belongs to a net; images, device, limit and the like are the same.

    Rank 0 writes each run into its folder. During the pass, every machine keeps the evidence of its share for
    each net in the net's first folder, as a run of that net alone does: each can be resumed alone, or with
    others. The caller holds the folders (`zoo.evaluation.folders`).

    With `resume` a net whose folders hold the finished runs of the same nets, images and settings is not run
    again: those runs are returned, and on rank 0 `complete` is called with its first folder.

    Other arguments and errors as for `evaluate_variants`.
    """
    group = group or SingleProcess()
    finished = {}
    if resume:
        found = [finished_runs(evaluation) if group.rank == 0 else None for evaluation in evaluations]
        finished = {net: runs for net, runs in enumerate(group.broadcast(found)) if runs is not None}
    left = [evaluation for net, evaluation in enumerate(evaluations) if net not in finished]
    ran = iter(_evaluate_and_write(left, resume, restart, group, progress) if left else ())
    if group.rank == 0 and complete is not None:
        for net in finished:
            complete(evaluations[net].folders[0])
    return [finished[net] if net in finished else next(ran) for net in range(len(evaluations))]


def _evaluate_and_write(
    evaluations: Sequence[Evaluation], resume: bool, restart: bool, group: Group, progress: Progress | None
) -> list[list[Run]]:
    """Rank the images in all these nets, and write the evidence."""
    folders = [evaluation.folders[0] for evaluation in evaluations]
    runs = _evaluate(evaluations, folders, resume, restart, group, progress)
    if group.rank == 0:
        for evaluation, of_net in zip(evaluations, runs, strict=True):
            for folder, run in zip(evaluation.folders, of_net, strict=True):
                write_run(folder, run, journal.RESUME)
    # No process removes its part before the whole is written.
    group.broadcast(None)
    for folder in folders:
        journal.finish(folder)
    return runs


def evaluate_variants(
    job: Job,
    variants: Sequence[Variant],
    *,
    folder: Path | None = None,
    resume: bool = False,
    restart: bool = False,
    group: Group | None = None,
    progress: Progress | None = None,
) -> list[Run]:
    """Rank the images under several variants of one net in one pass; returns a run for each, in their order.

    folder: where every machine keeps evidence during the run; None: nowhere. Afterwards the caller's rank 0
        writes the runs, and then all processes call `zoo.evidence.journal.finish`.
    resume: continue from what an interrupted run left in `folder` on any machine.
    restart: throw away what it left. Without either, evidence of an interrupted run is an error.
    group: the processes that share the work; every process gets all runs.
    progress: as for `evaluate`, but counts the share of this process only.

    Raises:
        UsageError, DataError, DeviceError: as `evaluate`.
        RankLostError: another process of the run has ended.
        converters.SourceChangedError: a file of the net changed while it was loaded.
    """
    group = group or SingleProcess()
    return _evaluate([Evaluation(job, variants)], [folder], resume, restart, group, progress)[0]


def evaluate_nets(evaluations: Sequence[Evaluation], progress: Progress | None = None) -> list[list[Run]]:
    """As `evaluate_and_write`, in this process and without writing anything."""
    return _evaluate(evaluations, [None] * len(evaluations), False, False, SingleProcess(), progress)


def _evaluate(
    evaluations: Sequence[Evaluation],
    folders: Sequence[Path | None],
    resume: bool,
    restart: bool,
    group: Group,
    progress: Progress | None,
) -> list[list[Run]]:
    """The runs of each net. folders: for each net, where its evidence is kept during the pass, or None."""
    limit = evaluations[0].job.limit
    if limit is not None and limit < 1:
        raise UsageError(f"the limit must be 1 image or more, not {limit}")
    states = [state for evaluation in evaluations for state in evaluation.job.all_states()]
    with open_sessions(evaluations, group) as sessions:
        size = choose_batch_size(evaluations, sessions, group)
        for evaluation, folder in zip(evaluations, folders, strict=True):
            size = agreed_batch_size(evaluation.job, folder if resume else None, size, group)
        about = [[s.runtime.describe() for s in sessions if s.net == net] for net in range(len(evaluations))]
        plans = [
            evaluation_plan(evaluation.job, evaluation.variants, evaluation.files, of_net[0], size)
            for evaluation, of_net in zip(evaluations, about, strict=True)
        ]
        for state in states:  # the hashes are those of the files that were loaded
            state.check()
        resumed = start_all(folders, plans, resume, restart, group)
        started = datetime.now(UTC).isoformat(timespec="seconds")
        clock = time.perf_counter()
        with _open_journals(folders, group) as write_down:
            batch_plan = plan_batches(evaluations, sessions, group, size)
            work = _own_work(evaluations[0].job, sessions, size, resumed, group)
            own = _rank_and_write_down(evaluations, work, batch_plan, group, write_down, progress)
        seconds = time.perf_counter() - clock
    return [
        runs_of(
            evaluation,
            gather(evaluation.job, group, own[net], resumed[net], seconds),
            batch_size=size,
            environments=[{**environment(), **runtime, **evaluation.job.noted} for runtime in about[net]],
            started=started,
            processes=group.size,
        )
        for net, evaluation in enumerate(evaluations)
    ]


def _own_work(
    job: Job,
    sessions: Sequence[Session],
    size: int,
    resumed: Sequence[Mapping[int, Batch]],
    group: Group,
) -> dict[int, list[Session]]:
    """This process's share of the batches that a net has left to do: every `group.size`-th of them."""
    left: dict[int, list[Session]] = {}
    for number in range(-(-len(job.samples) // size)):
        if wanting := [session for session in sessions if number not in resumed[session.net]]:
            left[number] = wanting
    return {number: left[number] for number in list(left)[group.rank :: group.size]}


@contextlib.contextmanager
def _open_journals(
    folders: Sequence[Path | None], group: Group
) -> Iterator[Sequence[Callable[[Batch], None]]]:
    """For each net the function that writes a finished batch down; it does nothing without a folder."""
    with contextlib.ExitStack() as stack:
        functions: list[Callable[[Batch], None]] = []
        for folder in folders:
            if folder is None:
                functions.append(lambda batch: None)
            else:
                name = f"rank{group.rank}-of-{group.size}"
                functions.append(stack.enter_context(contextlib.closing(Journal(folder, name))).append)
        yield functions


def _rank_and_write_down(
    evaluations: Sequence[Evaluation],
    work: Mapping[int, Sequence[Session]],
    batch_plan: BatchPlan,
    group: Group,
    write_down: Sequence[Callable[[Batch], None]],
    progress: Progress | None,
) -> list[list[Batch]]:
    """The batches of each net, ranked, written down one by one, and their labels checked."""
    job = evaluations[0].job
    checks = [_LabelCheck(evaluation.job, len(evaluations) > 1) for evaluation in evaluations]
    samples = job.samples
    images = {number: len(samples_of_batch(samples, batch_plan.size, number)) for number in work}
    done, total = 0, sum(images.values())
    own: list[list[Batch]] = [[] for _ in evaluations]
    for number, batches in zip(work, rank_batches(job, work.items(), batch_plan), strict=True):
        for net, batch in batches.items():
            write_down[net](batch)
            own[net].append(batch)
        group.heartbeat(number)
        for net, batch in batches.items():
            checks[net].add(batch)
        done += images[number]
        if progress is not None:
            progress(done, total)
    for check in checks:
        check.finish()
    return own


class _LabelCheck:
    """Whether the labels number the classes as one net does, as soon as enough images show it."""

    def __init__(self, job: Job, several: bool) -> None:
        self._job, self._several = job, several
        self._rows: list[Rows] | None = []

    def add(self, batch: Batch) -> None:
        """Check once `IMAGES_CHECKED` images are there. DataError if the order is another one."""
        if self._rows is not None:
            self._rows.append(batch.rows[0])
            if sum(map(len, self._rows)) >= IMAGES_CHECKED:
                self.finish()

    def finish(self) -> None:
        """Check what is there, unless that is done. DataError if the order is another one."""
        rows, self._rows = Rows.joined(self._rows or [])[:IMAGES_CHECKED], None
        order = detect_label_order(rows.labels.tolist(), rows.ids[:, 0].tolist())
        if order is None or order.name == AS_GIVEN:
            return
        data = self._job.data
        with named_if(self._several, self._job.model):
            raise DataError(
                f"{data.source}: labels from {data.labels_source} are in another order than the net's "
                f"classes, as the first {len(rows)} images show: {order.advice}"
            )
