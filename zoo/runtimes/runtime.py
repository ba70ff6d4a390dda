"""What every runtime offers, and the rules they share."""

from __future__ import annotations

import re
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from zoo.errors import UsageError

Float32 = NDArray[np.float32]


class Runtime(Protocol):
    """A converted net, loaded on a device, ready to score batches in IEEE float32 (no TF32).

    `input_shape` is (channels, height, width), None where the net leaves a size open or does not say.
    `batch` is the only batch size the net takes, or None if it takes any.
    """

    input_shape: tuple[int | None, ...]
    batch: int | None

    def run(self, batch: Float32) -> Float32:
        """Scores (images, classes) for a batch (images, channels, height, width).

        Raises:
            UsageError: the net does not take this batch, or its output is no row of scores per image.
        """
        ...

    def describe(self) -> dict[str, str]:
        """What the scores were computed with, for the result's environment."""
        ...

    def close(self) -> None:
        """Free the net and its device memory."""
        ...


def parse_device(device: str) -> tuple[str, int]:
    """Kind and index of "cpu", "cuda" or "cuda:1". UsageError on anything else."""
    match = re.fullmatch(r"(cpu)|cuda(?::(\d{1,3}))?", device)
    if match is None:
        raise UsageError(f"no device is called '{device}': expected cpu, cuda or cuda:N")
    return ("cpu", 0) if match[1] else ("cuda", int(match[2] or 0))


def gpu_name(index: int) -> str:
    """What the CUDA device is, as far as PyTorch can tell."""
    import torch

    return torch.cuda.get_device_name(index) if torch.cuda.is_available() else "unknown"


def select_output(names: tuple[str, ...], scores: str | None, net: object) -> int:
    """Index of the output to rank: the one called `scores`, or the only one. UsageError lists them."""
    if scores is None and len(names) == 1:
        return 0
    if scores in names:
        return names.index(scores)
    wanted = "say which output ranks the classes" if scores is None else f"it has no output '{scores}'"
    raise UsageError(f"{net}: {wanted}; its outputs are {', '.join(names)}")


def as_scores(output: NDArray[Any], images: int, net: object) -> Float32:
    """An output as (images, classes); trailing dimensions of 1, as of a last pooling, are dropped.

    Raises:
        UsageError: there is not exactly one row of at least two scores per image.
    """
    shape = output.shape
    if len(shape) < 2 or shape[0] != images or shape[1] < 2 or any(size != 1 for size in shape[2:]):
        raise UsageError(
            f"{net}: expected one row of class scores per image ({images} x classes), "
            f"the output is {' x '.join(map(str, shape)) or 'a single number'}"
        )
    return np.ascontiguousarray(output.reshape(shape[:2]), dtype=np.float32)


def best(scores: Float32, count: int = 5) -> tuple[NDArray[np.int64], Float32]:
    """The `count` best classes of every row and their scores, best first, ties to the smaller class.

    scores: (images, classes). Returns two arrays (images, min(count, classes)).
    """
    order = np.argsort(-scores, axis=1, kind="stable")[:, :count]
    return order, np.take_along_axis(scores, order, axis=1)
