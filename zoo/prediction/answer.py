"""The answers of a net: ranked classes, or boxes in pixels of the image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zoo.errors import UsageError
from zoo.prediction.outputs import SHOWN
from zoo.preprocessing import Flavour
from zoo.runtimes.ranking import best
from zoo.runtimes.runtime import as_scores
from zoo.verification.difference import BOX_VALUES
from zoo.vocabulary import BEST

Float32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class RankedClass:
    """A class and its score. `name`: None where it is not known."""

    index: int
    name: str | None
    score: float


@dataclass(frozen=True, slots=True)
class Box:
    """An object that was found: its class, and its corners in pixels of the image, which may lie outside."""

    index: int
    name: str | None
    score: float
    left: float
    top: float
    right: float
    bottom: float


def ranked(
    output: Float32, names: Sequence[str] | None, net: object, outputs: Sequence[str] = ()
) -> list[RankedClass]:
    """The five best classes of the first image in an output.

    outputs: lines that say what the outputs of the net are, for the error.

    Raises:
        UsageError: the output has no row of scores, a score is NaN, or there are more or fewer names than
            classes.
    """
    try:
        scores = as_scores(output, len(output), net)[:1]
    except UsageError as error:
        told = "".join(f"\n    {line}" for line in outputs)
        listed = f"\n  its outputs:{told}" if told else ""
        raise UsageError(f"{error}{listed}\n  {SHOWN}") from error
    check_names(names, scores.shape[1], net)
    if np.isnan(scores).any():
        raise UsageError(f"{net}: {int(np.isnan(scores).sum())} of {scores.shape[1]} scores are NaN")
    classes, values = best(scores, BEST)
    return [
        RankedClass(int(index), None if names is None else names[index], float(score))
        for index, score in zip(classes[0], values[0], strict=True)
    ]


def check_names(names: Sequence[str] | None, classes: int, net: object) -> None:
    """UsageError if there are names, but not one for each class."""
    if names is not None and len(names) != classes:
        raise UsageError(f"{net}: has {classes} classes, and there are {len(names)} names for them")


def boxes(
    output: Float32,
    names: Sequence[str] | None,
    flavour: Flavour,
    crop: int,
    size: tuple[int, int],
    net: object,
) -> list[Box]:
    """The boxes of the first image of the batch, highest score first.

    output: (1, 1, boxes, 7); shares of the window that the net saw. size: (height, width) of the image.

    Raises:
        UsageError: a label has no name although there are names.
    """
    height, width = size
    resized = flavour.resized(height, width)
    found = []
    for image, label, score, left, top, right, bottom in output.reshape(-1, BOX_VALUES).tolist():
        # Where nothing is found, Caffe gives one row that is -1 throughout, or without an image.
        if image != 0 or label < 0 or not all(map(math.isfinite, (label, score, left, top, right, bottom))):
            continue
        index = int(label)
        if names is not None and index >= len(names):
            raise UsageError(f"{net}: found class {index}, and there are {len(names)} names")
        tops, lefts = (
            [(share * crop + begin) * length / scaled for share in shares]
            for shares, begin, length, scaled in (
                ((top, bottom), _begin(flavour, resized[0], crop), height, resized[0]),
                ((left, right), _begin(flavour, resized[1], crop), width, resized[1]),
            )
        )
        name = None if names is None else names[index]
        found.append(Box(index, name, score, lefts[0], tops[0], lefts[1], tops[1]))
    return sorted(found, key=lambda box: -box.score)


def _begin(flavour: Flavour, length: int, crop: int) -> int:
    """Where the window begins along an axis of the resized image; a square may be cut first."""
    if not flavour.is_square:
        return flavour.offset(length, crop)
    return (length - flavour.size) // 2 + flavour.offset(flavour.size, crop)
