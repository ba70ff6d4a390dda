"""The runs on disk with which `validate` compares what it measures."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import UsageError, ZooError

if TYPE_CHECKING:
    from zoo.datasets import Dataset, Sample
    from zoo.evidence.run import Run


def other_run(against: str, names: Sequence[str]) -> Run:
    """The run that --against names. UsageError if there is none, DataError if it is damaged."""
    from zoo.evidence.run import read_run

    if not Path(against).exists():
        raise UsageError(
            f"--against {against}: neither the result.json of a run nor another one of the nets given "
            f"here, {', '.join(names)}"
        )
    return read_run(Path(against))


def earlier_runs(paths: Sequence[str], names: Sequence[str]) -> dict[str, Run]:
    """The earlier run of each net. Where there are several, the name in the run says which net it is of.

    Raises:
        UsageError: a run is of none of the nets, or two are of the same one.
        DataError: a run cannot be read. FetchError: or not downloaded.
    """
    runs = [(path, _read(path)) for path in paths]
    if len(names) == 1 and len(runs) == 1:
        return {names[0]: runs[0][1]}
    found: dict[str, Run] = {}
    for path, run in runs:
        model = run.result.model
        if model not in names:
            raise UsageError(f"--baseline {path}: a run of {model}, expected one of {', '.join(names)}")
        if model in found:
            raise UsageError(f"--baseline {path}: a second earlier run of {model}; give one for each net")
        found[model] = run
    return found


def _read(place: str) -> Run:
    """The run in a folder, or at the path or URL of its result.json."""
    import tempfile

    from zoo.evidence.run import read_run

    if not place.lower().startswith(("http://", "https://")):
        return read_run(Path(place))
    from zoo.download.run import fetch_run

    with tempfile.TemporaryDirectory() as folder:
        return read_run(fetch_run(place, Path(folder)))


def require_same_images(
    earlier: Mapping[str, Run], other: Run | None, data: Dataset, limit: int | None, skip_unreadable: bool
) -> None:
    """UsageError if a run cannot be compared with one over the first `limit` images of `data`.

    Names and labels are compared; of an earlier run of the same net also the first image file. Which images
    cannot be decoded is known only afterwards: with `skip_unreadable` a run may lack some.
    """
    samples = data.samples[:limit]
    for run in earlier.values():
        _require_same_images("--baseline", run, samples, data, skip_unreadable)
        if (difference := _first_file_differs(run, samples)) is not None:
            raise UsageError(_misfit("--baseline", run, data, difference))
    if other is not None:
        _require_same_images("--against", other, samples, data, skip_unreadable)


def _require_same_images(
    option: str, run: Run, samples: Sequence[Sample], data: Dataset, may_lack: bool
) -> None:
    from zoo.evidence.pairing import find_label_difference

    theirs = dict(zip(run.rows.images, run.rows.labels.tolist(), strict=True))
    ours = {sample.id: sample.label for sample in samples if not may_lack or sample.id in theirs}
    if (difference := find_label_difference(ours, theirs)) is not None:
        raise UsageError(_misfit(option, run, data, difference))


def _misfit(option: str, run: Run, data: Dataset, difference: str) -> str:
    result = run.result
    return (
        f"{option}: the run of {result.model} over {result.n:,} images of {result.dataset_source} "
        f"cannot be compared with one over {data.source}:\n  {difference}\n"
        "  give the same images, labels and --limit, or a run over these"
    )


def _first_file_differs(run: Run, samples: Sequence[Sample]) -> str | None:
    """Whether the first image is another file than in `run`: so are all, if they were written anew."""
    import hashlib

    recorded = dict(zip(run.rows.images, run.rows.sha256, strict=True))
    for sample in samples[:1]:
        with contextlib.suppress(ZooError, OSError):  # what cannot be read is told by the run itself
            content = sample.read()
            found = hashlib.sha256(content).hexdigest() if isinstance(content, bytes) else content.sha256
            if found and recorded.get(sample.id) and found != recorded[sample.id]:
                return f"both must see the same image files, {sample.id} has another SHA-256 in the other run"
    return None
