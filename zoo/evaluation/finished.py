"""Finished runs on disk that are what an evaluation would measure again."""

from __future__ import annotations

from pathlib import Path

from zoo.errors import DataError
from zoo.evaluation.job import Evaluation, Job
from zoo.evaluation.variants import Variant
from zoo.evidence import journal
from zoo.evidence.run import Run, read_run


def finished_runs(evaluation: Evaluation) -> list[Run] | None:
    """The finished run of each variant in the folders of `evaluation`.

    None if one is missing, damaged, of other files, images, labels or settings, or if an unfinished run that
    would replace them is there. Versions and the batch size, unless the job asks for one, may be others: a
    finished run mixes with nothing.
    """
    if not evaluation.folders or (evaluation.folders[0] / journal.FOLDER_NAME).exists():
        return None
    runs = []
    for variant, folder in zip(evaluation.variants, evaluation.folders, strict=True):
        run = _read(folder)
        if run is None or not _is_of(run, evaluation, variant):
            return None
        runs.append(run)
    return runs


def _read(folder: Path) -> Run | None:
    try:
        return read_run(folder)
    except DataError:
        return None


def _is_of(run: Run, evaluation: Evaluation, variant: Variant) -> bool:
    """Whether `run` measured this variant, over these images."""
    result, job = run.result, evaluation.job
    measured = (result.model, result.preprocessing, result.precision, result.runtime, result.device)
    wanted = (job.model, variant.settings(), variant.precision, job.runtime, job.device)
    return (
        measured == wanted
        and result.scores == job.scores
        and result.files == evaluation.files
        and job.batch_size in (None, result.batch_size)
        and _is_over(run, job)
    )


def _is_over(run: Run, job: Job) -> bool:
    """Whether `run` saw the images of the job, with the same labels and in the same order."""
    left_out = set(run.result.unreadable)
    if left_out and not job.skip_unreadable:
        return False
    samples = zip(job.samples.names, job.samples.labels, strict=True)
    ranked = [(name, label) for name, label in samples if name not in left_out]
    return ranked == list(zip(run.rows.images, run.rows.labels.tolist(), strict=True))
