"""Images through a net, counted: the loop from encoded bytes to top-1 and top-5.

Threads read, decode and preprocess images ahead (`zoo.pipeline`) while the calling thread scores batches;
OpenCV, numpy and both runtimes let other threads run meanwhile.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import numpy as np

from zoo.datasets import Dataset, Item
from zoo.environment import environment, sha256
from zoo.errors import DataError, UsageError
from zoo.evidence import RANKS, Result, Row
from zoo.manifest import Preprocessing
from zoo.pipeline import Prepared, prepared
from zoo.preprocessing import Preprocessor, preprocessor
from zoo.preprocessing.flavour import Float32
from zoo.runtimes import Runtime, best, open_runtime

BATCH_ON_CPU, BATCH_ON_GPU = 16, 128


def validate(
    net: Path,
    data: Dataset,
    preprocessing: Preprocessing,
    *,
    model: str,
    mean_image: Path | None = None,
    scores: str | None = None,
    runtime: Literal["onnx", "pytorch"] = "onnx",
    device: str = "cpu",
    batch_size: int | None = None,
    limit: int | None = None,
    precision: Literal["float32"] = "float32",
    files: Mapping[str, str] | None = None,
    skip_unreadable: bool = False,
    command: str = "",
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Result, list[Row]]:
    """Rank the images of `data` with a converted net and count.

    net: net.onnx for runtime "onnx", net.py for "pytorch".
    model: the name to record.
    scores: the output that ranks the classes (None: the only one).
    limit: only the first so many images.
    files: name to sha256 of what the net was made from; the net itself and the mean image are added.
    skip_unreadable: leave images out that cannot be decoded (listed in the result, not part of its `n`)
        instead of stopping at the first.
    progress: called with (images done, images in all) after each batch.

    Raises:
        UsageError: net, preprocessing and options do not fit together.
        DataError: an image cannot be read, or a label is no class of the net.
        DeviceError: the device is not available.
    """
    if limit is not None and limit < 1:
        raise UsageError(f"the limit must be 1 image or more, not {limit}")
    if data.flavour not in (None, preprocessing.flavour):
        raise UsageError(
            f"{data.source}: packed by {data.flavour}; a run under {preprocessing.flavour} needs the images "
            f"themselves, or dsd-zoo pack --flavour {preprocessing.flavour}"
        )
    prepare = preprocessor(preprocessing, mean_image)
    tally = _Tally(data.items[:limit], data.source, skip_unreadable)
    with contextlib.closing(open_runtime(runtime, net, device, scores=scores)) as session:
        size = _batch_size(session, batch_size, device, net)
        _check_input(session, preprocessing, net)
        started = datetime.now(UTC).isoformat(timespec="seconds")
        seconds = _rank_all(tally, session, prepare, size, progress)
        about = {**environment(), **session.describe()}
    rows = tally.rows
    parts = [*net_files(net), *([] if mean_image is None else [mean_image])]
    result = Result(
        model=model,
        n=len(rows),
        n_dataset=len(data),
        top1_correct=sum(row.top1_correct for row in rows),
        top5_correct=sum(row.top5_correct for row in rows),
        dataset=data.name,
        dataset_source=data.source,
        labels=data.labels_source,
        flavour=preprocessing.flavour,
        preprocessing=preprocessing.model_dump(),
        runtime=runtime,
        device=device,
        precision=precision,
        batch_size=size,
        files={**(files or {}), **{path.name: sha256(path) for path in parts}},
        environment=about,
        command=command,
        started=started,
        seconds=round(seconds, 3),
        images_per_second=round(len(rows) / seconds, 2),
        unreadable=tally.unreadable,
        exif_rotated=tally.rotated,
    )
    return result, rows


def net_files(net: Path) -> list[Path]:
    """A converted net and the weights file beside it, where it has one."""
    beside = (net.with_suffix(".safetensors"), net.with_name(f"{net.name}.data"))
    return [net, *(path for path in beside if path.is_file())]


@dataclass
class _Tally:
    """What has become of the images so far; `waiting` are read and not ranked yet."""

    items: Sequence[Item]
    source: str
    skip_unreadable: bool
    waiting: list[tuple[Item, Float32]] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    rotated: int = 0

    @property
    def done(self) -> int:
        """Images ranked or left out."""
        return len(self.rows) + len(self.unreadable)

    def take(self, image: Prepared[Float32]) -> None:
        """The next image of the dataset."""
        self.rotated += image.rotated
        if image.pixels is not None:
            self.waiting.append((image.item, image.pixels))
        elif self.skip_unreadable:
            self.unreadable.append(image.item.id)
        else:
            raise DataError(
                f"{self.source}: {image.item.id}: {image.problem}\n"
                "  --skip-unreadable leaves such images out and lists them in the result"
            ) from image.problem

    def rank(self, session: Runtime, size: int) -> None:
        """Score what is waiting. A net of fixed batch gets `size` images, the last ones empty."""
        if not self.waiting:
            return
        count = size if session.batch is not None else len(self.waiting)
        batch = np.zeros((count, *self.waiting[0][1].shape), np.float32)
        for place, (_, pixels) in zip(batch, self.waiting, strict=False):
            place[...] = pixels
        scores = session.run(batch)[: len(self.waiting)]
        if not self.rows:
            self._check_labels(scores.shape[1])
        ids, values = best(scores, RANKS)
        for (item, _), complete, ranked, value in zip(self.waiting, scores, ids, values, strict=True):
            if np.isnan(complete).any():
                raise DataError(f"{self.source}: {item.id}: the net's scores are not numbers (NaN)")
            self.rows.append(Row(item.id, item.label, tuple(ranked.tolist()), tuple(value.tolist())))
        self.waiting.clear()

    def _check_labels(self, classes: int) -> None:
        for item in self.items:
            if item.label >= classes:
                raise DataError(
                    f"{self.source}: {item.id} has label {item.label}, but the net ranks {classes} classes "
                    f"(0 to {classes - 1}); labels count from 0"
                )


def _rank_all(
    tally: _Tally,
    session: Runtime,
    prepare: Preprocessor,
    size: int,
    progress: Callable[[int, int], None] | None,
) -> float:
    """All images of the tally through the net; the seconds it took."""
    clock = time.perf_counter()
    for image in prepared(tally.items, prepare, ahead=2 * size):
        tally.take(image)
        if len(tally.waiting) == size:
            tally.rank(session, size)
            if progress is not None:
                progress(tally.done, len(tally.items))
    tally.rank(session, size)
    if progress is not None:
        progress(tally.done, len(tally.items))
    if not tally.rows:
        raise DataError(f"{tally.source}: none of its {len(tally.items)} images could be read")
    return time.perf_counter() - clock


def _batch_size(session: Runtime, wanted: int | None, device: str, net: Path) -> int:
    if wanted is not None and wanted < 1:
        raise UsageError(f"the batch size must be 1 or more, not {wanted}")
    if session.batch is not None and wanted not in (None, session.batch):
        raise UsageError(f"{net}: it takes batches of {session.batch} only, not of {wanted}")
    return wanted or session.batch or (BATCH_ON_CPU if device == "cpu" else BATCH_ON_GPU)


def _check_input(session: Runtime, preprocessing: Preprocessing, net: Path) -> None:
    made = (3, preprocessing.crop, preprocessing.crop)
    taken = session.input_shape
    if len(taken) != 3 or any(size not in (None, side) for size, side in zip(taken, made, strict=True)):
        raise UsageError(
            f"{net}: it takes {' x '.join(str(size or 'any') for size in taken)}, the preprocessing makes "
            f"{' x '.join(map(str, made))}: give the right --crop"
        )
