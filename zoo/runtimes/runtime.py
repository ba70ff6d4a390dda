"""The base class of runtimes, and rules that they share."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

import converters
from zoo.errors import DeviceError, UsageError
from zoo.runtimes.ranking import Float32, Ranking
from zoo.vocabulary import Form, Precision

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class Runtime(ABC):
    """A converted net, loaded on a device, ready to score batches.

    A subclass is one runtime, with all that the zoo knows of it. Its instances set `input_shape`, (channels,
    height, width), None where the net leaves a size open or does not say; `batch`, the only batch size that
    the net takes, or None if it takes any; and `at_once`, how many batches are best ranked side by side, each
    by its own thread.
    """

    label: ClassVar[str]
    """What people call the runtime: "ONNX Runtime"."""
    form: ClassVar[Form]
    """The form of a converted net that it runs."""
    packages: ClassVar[tuple[str, ...]]
    """Those entries of `describe` that are versions: a run is only resumed with the same ones."""
    extra: ClassVar[str | None] = None
    """The extra of the zoo that installs `packages`, where the zoo works without them."""
    precisions: ClassVar[Mapping[str, tuple[Precision, ...]]]
    """The precisions that it computes in, by kind of device ("cpu", "cuda"); leave out a kind it has not."""

    input_shape: tuple[int | None, ...]
    batch: int | None
    at_once: int

    @abstractmethod
    def __init__(
        self,
        net: Path,
        device: str = "cpu",
        scores: str | None = None,
        threads: int | None = None,
        precision: Precision = "float32",
    ) -> None:
        """Parameters and errors as for `open_runtime`, which has checked the precision."""

    @classmethod
    def is_installed(cls) -> bool:
        """Whether `packages` can be imported."""
        return cls.extra is None or all(find_spec(package) is not None for package in cls.packages)

    @abstractmethod
    def run(self, batch: Float32) -> Float32:
        """Scores (images, classes) for a batch (images, channels, height, width), both on the host.

        Raises:
            UsageError: the net does not take this batch, or its output is no row of scores per image.
        """

    def compute(self, batch: Float32) -> Float32:
        """The output in its own shape, for nets that do not rank classes; else as `run`.

        Here it is what `run` gives; a runtime that can show more says so itself.

        Raises:
            UsageError: the net does not take this batch.
        """
        return self.run(batch)

    @abstractmethod
    def rank(self, batch: Float32 | Tensor, labels: Sequence[int]) -> Ranking:
        """The best classes of a batch, which is on the host or on the net's device and is ranked there.

        There may be fewer labels than images; the images beyond them are not ranked. Errors as in `run`.
        """

    @abstractmethod
    def describe(self) -> dict[str, str]:
        """What the scores were computed with, for the result's environment."""

    @abstractmethod
    def close(self) -> None:
        """Free the net and its device memory."""


def parse_device(device: str) -> tuple[str, int]:
    """Kind and index of "cpu", "cuda" or "cuda:1". UsageError on anything else."""
    match = re.fullmatch(r"(cpu)|cuda(?::(\d{1,3}))?", device)
    if match is None:
        raise UsageError(f"no device is called '{device}': expected cpu, cuda or cuda:N")
    return ("cpu", 0) if match[1] else ("cuda", int(match[2] or 0))


def use_gpu(index: int) -> tuple[torch.device, str]:
    """Makes a CUDA device the current one, for streams and pinned memory; returns it and its name.

    Raises:
        DeviceError: PyTorch, which prepares images and ranks scores for all runtimes, does not see it.
    """
    import torch

    count = torch.cuda.device_count()
    if index >= count:
        raise DeviceError(
            f"cuda:{index}: PyTorch {torch.__version__} sees {count} CUDA devices here; "
            "check the driver and that it is a CUDA build, or use --device cpu"
        )
    torch.cuda.set_device(index)
    return torch.device("cuda", index), torch.cuda.get_device_name(index)


def external_files(net: Path, label: str) -> dict[str, converters.SourceFile]:
    """The files in which an .onnx keeps its weights, by their location in it, opened and checked.

    UsageError if the .onnx is damaged, or if a file is missing or is not the one that it was written with.
    """
    try:
        return converters.external_files(net)
    except converters.ConverterError as error:
        raise UsageError(f"{net}: {label} cannot load it: {error}") from error


def select_output(names: tuple[str, ...], scores: str | None, net: object) -> int:
    """Index of the output to rank: the one called `scores`, or the only one. UsageError lists them."""
    if scores is None and len(names) == 1:
        return 0
    if scores in names:
        return names.index(scores)
    wanted = "say which output ranks the classes" if scores is None else f"it has no output '{scores}'"
    raise UsageError(f"{net}: {wanted}; its outputs are {', '.join(names)}")


def as_scores(output: NDArray[Any], images: int, net: object) -> Float32:
    """An output as (images, classes); see `check_scores`."""
    check_scores(output.shape, images, net)
    return np.ascontiguousarray(output.reshape(output.shape[:2]), dtype=np.float32)


def check_scores(shape: Sequence[int], images: int, net: object) -> None:
    """Check that an output is one row of scores per image; trailing dimensions of 1 are allowed.

    Raises:
        UsageError: there is not exactly one row of at least two scores per image.
    """
    if len(shape) < 2 or shape[0] != images or shape[1] < 2 or any(size != 1 for size in shape[2:]):
        raise UsageError(
            f"{net}: expected one row of class scores per image ({images} x classes), "
            f"the output is {' x '.join(map(str, shape)) or 'a single number'}"
        )
