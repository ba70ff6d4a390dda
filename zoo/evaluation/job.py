"""What a measurement is: a net, images, settings; and the plan that says so on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from zoo.datasets import Dataset, Sample
from zoo.evaluation.settings import Settings
from zoo.evaluation.variants import Variant
from zoo.files import sha256
from zoo.runtimes import all_runtimes, form_of
from zoo.store.subject import Subject
from zoo.vocabulary import RuntimeName

Place = Literal["host", "device"]


@dataclass(frozen=True, slots=True)
class Job:
    """What is measured, and where.

    net: of the form that the runtime runs (`zoo.runtimes.form_of`): net.onnx or net.py.
    model: the name to record.
    scores: the output that ranks the classes (None: the only one).
    batch_size: images per inference (None: what is useful on the device and fits into its memory).
    limit: only the first so many images.
    files: name to sha256 of what the net was made from.
    skip_unreadable: leave images out that cannot be decoded, instead of stopping at the first.
    preprocess_on: where images are resized; on a GPU the rest is always done there.
    """

    net: Path
    data: Dataset
    model: str
    mean_image: Path | None = None
    scores: str | None = None
    runtime: RuntimeName = "onnx"
    device: str = "cpu"
    batch_size: int | None = None
    limit: int | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    skip_unreadable: bool = False
    preprocess_on: Place = "host"
    command: str = ""

    @property
    def items(self) -> tuple[Sample, ...]:
        """The images that are to be ranked."""
        return self.data.items[: self.limit]

    def all_files(self) -> dict[str, str]:
        """Name to sha256 of everything the result rests on: sources, mean image, converted form."""
        # A net that runs as it is, is a source itself.
        parts = [path for path in net_files(self.net) if path.name not in self.files]
        parts += [] if self.mean_image is None else [self.mean_image]
        return {**self.files, **{path.name: sha256(path) for path in parts}}


def job_for(
    subject: Subject,
    settings: Settings,
    data: Dataset,
    runtime: RuntimeName,
    scores: str | None,
    **options: Any,  # noqa: ANN401 - the other fields of Job
) -> Job:
    """The job of ranking `data` with the net of `subject`, converted for `runtime` if it is not yet.

    Raises:
        IntegrityError: a file of the model has changed since it was fetched.
        converters.ConverterError: the net cannot be converted.
    """
    return Job(
        net=subject.converted(form_of(runtime), scores, subject.image_shape(settings.preprocessing.crop)),
        data=data,
        model=subject.name,
        mean_image=settings.mean_image,
        scores=scores,
        runtime=runtime,
        files=subject.hashes,
        **options,
    )


def net_files(net: Path) -> list[Path]:
    """A converted net and the weights file beside it, where it has one."""
    beside = (net.with_suffix(".safetensors"), net.with_name(f"{net.name}.data"))
    return [net, *(path for path in beside if path.is_file())]


def plan_of(
    job: Job, variants: Sequence[Variant], files: Mapping[str, str], about: Mapping[str, str], batch_size: int
) -> dict[str, Any]:
    """Everything that the scores depend on, and the order of the images, as `zoo.evidence.journal` compares
    it.

    about: what the runtime says of itself.
    """
    labels = "\n".join(f"{item.id} {item.label}" for item in job.items)
    return {
        "model": job.model,
        "images": len(job.items),
        "names and labels": hashlib.sha256(labels.encode()).hexdigest(),
        "files": dict(files),
        "preprocessing": [variant.settings() for variant in variants],
        "preprocess on": job.preprocess_on,
        "precision": [variant.precision for variant in variants],
        "runtime": [job.runtime, *(about[name] for name in all_runtimes()[job.runtime].packages)],
        "device": job.device.partition(":")[0],
        "scores": job.scores,
        "batch size": batch_size,
    }
