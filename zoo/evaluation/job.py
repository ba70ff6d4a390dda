"""What is evaluated: nets, images, settings."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import converters
from zoo.datasets import Dataset, Samples
from zoo.errors import ZooError
from zoo.evaluation.settings import Settings, check_label_order
from zoo.evaluation.variants import Variant
from zoo.files import sha256
from zoo.runtimes import form_of
from zoo.store.subject import Subject
from zoo.vocabulary import RuntimeName

PreprocessOn = Literal["host", "device"]


@dataclass(frozen=True, slots=True)
class Job:
    """What is evaluated, and where it runs.

    net: of the form that the runtime runs (`zoo.runtimes.form_of`): net.onnx or net.py.
    model: the name in the result.
    scores: the output that ranks the classes (None: the only one).
    batch_size: images per inference (None: a size that suits the device and fits into its memory).
    limit: only this many images, the first ones.
    files: name to sha256 of what the net was made from.
    skip_unreadable: leave out images that cannot be decoded, instead of stopping at the first one.
    noted: what the environment of the result says besides versions and machine.
    states: what the files in `files` were when they were hashed.
    preprocess_on: where images are resized; with a GPU the later steps always run there.
    image_order: of the channels, if the net takes whole images and prepares them itself; None: it does not.
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
    preprocess_on: PreprocessOn = "host"
    command: str = ""
    states: Sequence[converters.FileState] = ()
    noted: Mapping[str, str] = field(default_factory=dict)
    image_order: Literal["BGR", "RGB"] | None = None

    @property
    def samples(self) -> Samples:
        """The images to rank."""
        return self.data.samples[: self.limit]

    def all_files(self) -> dict[str, str]:
        """Name to sha256 of all files the result depends on: sources, mean image, converted form."""
        # A net that runs without conversion is one of the sources.
        parts = [path for path in self._own_files() if path.name not in self.files]
        return {**self.files, **{path.name: sha256(path) for path in parts}}

    def all_states(self) -> list[converters.FileState]:
        """What all files the result depends on are now; what the sources were when they were hashed."""
        return [*self.states, *(converters.FileState.of(path) for path in self._own_files())]

    def _own_files(self) -> list[Path]:
        return net_files(self.net) + ([] if self.mean_image is None else [self.mean_image])


@dataclass(frozen=True)
class Evaluation:
    """One net under its variants. The evaluations of several nets over the same images can share a pass.

    folders: one for each variant, for the evidence; none: it is not written.
    """

    job: Job
    variants: Sequence[Variant]
    folders: Sequence[Path] = ()

    @cached_property
    def files(self) -> dict[str, str]:
        """`Job.all_files`, hashed once."""
        return self.job.all_files()


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
        UsageError: the labels number the classes in another order than the model does.
        IntegrityError: a file of the model has changed since it was fetched.
        converters.ConverterError: the net cannot be converted.
    """
    check_label_order(subject, data)
    return Job(
        net=subject.converted(form_of(runtime), scores, subject.image_shape(settings.preprocessing.crop)),
        data=data,
        model=subject.name,
        mean_image=settings.mean_image,
        scores=scores,
        runtime=runtime,
        files=subject.hashes,
        states=subject.states,
        image_order=subject.image_order(form_of(runtime)),
        **options,
    )


@contextlib.contextmanager
def named_if(several: bool, model: str) -> Iterator[None]:
    """Put the name of the model before the message of an error, if a pass has several nets."""
    try:
        yield
    except ZooError as error:
        if not several:
            raise
        raise type(error)(f"{model}: {error}") from error


def net_files(net: Path) -> list[Path]:
    """A converted net, and the files with its weights if they are not inside."""
    if net.suffix == ".onnx":
        return [net, *(file.path for file in converters.external_files(net).values())]
    beside = net.with_suffix(".safetensors")
    return [net, beside] if beside.is_file() else [net]
