"""From the batches of all processes to the run: gathered, checked, counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from zoo.errors import DataError
from zoo.evaluation.distributed import Group
from zoo.evaluation.job import Evaluation, Job
from zoo.evidence.journal import Batch
from zoo.evidence.rows import Rows
from zoo.evidence.run import Result, Run
from zoo.vocabulary import METRICS


@dataclass(frozen=True, slots=True)
class GatheredBatches:
    """All batches in order.

    seconds: the time of the slowest process.
    resumed: images that an interrupted run had ranked before.
    """

    batches: list[Batch]
    seconds: float
    resumed: int


def gather(
    job: Job, group: Group, own: Sequence[Batch], resumed: Mapping[int, Batch], seconds: float
) -> GatheredBatches:
    """The batches of all processes. DataError unless they contain every image of the job exactly once."""
    gathered = group.all_gather((list(own), seconds))
    new = [batch for part, _ in gathered for batch in part]
    if group.all_reduce(_sums(own)) != _sums(new):
        raise DataError("the evidence that was gathered is not what the processes counted")
    batches = {batch.number: batch for batch in (*resumed.values(), *new)}
    images = sum(len(batch.rows[0]) + len(batch.unreadable) for batch in batches.values())
    if images != len(job.samples) or len(batches) != len(resumed) + len(new):
        raise DataError(f"{images} images were ranked or left out, but there are {len(job.samples)}")
    if not any(batch.rows[0] for batch in batches.values()):
        raise DataError(f"{job.data.source}: none of its {len(job.samples)} images could be read")
    return GatheredBatches(
        [batches[number] for number in sorted(batches)],
        max(seconds for _, seconds in gathered),
        sum(len(batch.rows[0]) for batch in resumed.values()),
    )


def _sums(batches: Sequence[Batch]) -> list[int]:
    rows = Rows.joined([rows for batch in batches for rows in batch.rows])
    return [len(rows), *map(rows.count_correct, METRICS)]


def runs_of(
    evaluation: Evaluation,
    gathered: GatheredBatches,
    *,
    batch_size: int,
    environments: Sequence[dict[str, str]],
    started: str,
    processes: int,
) -> list[Run]:
    """The run of each variant of a net, and the environment of each. Other arguments as in `Result`."""
    job, seconds = evaluation.job, gathered.seconds
    runs = []
    for at, variant in enumerate(evaluation.variants):
        rows = Rows.joined([batch.rows[at] for batch in gathered.batches])
        result = Result(
            model=job.model,
            n=len(rows),
            n_dataset=len(job.data),
            top1_correct=rows.count_correct("top1"),
            top5_correct=rows.count_correct("top5"),
            dataset=job.data.name,
            dataset_source=job.data.source,
            labels=job.data.labels_source,
            flavour=variant.preprocessing.flavour,
            preprocessing=variant.settings(),
            runtime=job.runtime,
            device=job.device,
            precision=variant.precision,
            batch_size=batch_size,
            scores=job.scores,
            files=evaluation.files,
            environment=environments[at],
            command=job.command,
            started=started,
            seconds=round(seconds, 3),
            images_per_second=round((len(rows) - gathered.resumed) / seconds, 2),
            processes=processes,
            resumed=gathered.resumed,
            unreadable=[name for batch in gathered.batches for name in batch.unreadable],
            exif_rotated=sum(batch.rotated for batch in gathered.batches),
        )
        runs.append(Run(result, rows))
    return runs
