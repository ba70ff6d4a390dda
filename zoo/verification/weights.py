"""The weights of nets as named arrays, and two nets of one architecture weight by weight.

What Dense-Sparse-Dense training did is seen in them: which weights are zero, how far they moved from those
of the baseline, and how their magnitudes are distributed.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

import converters
from zoo.errors import UsageError

if TYPE_CHECKING:
    import onnx_ir as ir

Float32 = NDArray[np.float32]

Float64 = NDArray[np.float64]

# Sums run in float64 over pieces of this many values, so that a net is never held twice.
PIECE = 1 << 20
# Classes of magnitude, as multiples of the root mean square of the same layer in the second net.
EDGES = (0.0, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0)


@dataclass(frozen=True, slots=True)
class Weight:
    """One parameter array of a net, float32, under the name <layer>.<kind>."""

    name: str
    array: Float32

    @property
    def shape(self) -> tuple[int, ...]:
        """Its sizes."""
        return self.array.shape

    @property
    def prunable(self) -> bool:
        """Whether pruning would touch it: weights of convolutions and inner products, not biases."""
        return self.array.ndim >= 2

    @property
    def is_finite(self) -> bool:
        """Whether every value is a number."""
        return all(bool(np.isfinite(piece).all()) for piece in _pieces(self.array))


def weights_of(model: ir.Model) -> list[Weight]:
    """All float parameters of a loaded net in its order, running statistics included; views, no copies."""
    return [Weight(name, array) for name, array in converters.weights_of(model).items()]


def pair_weights(first: Sequence[Weight], second: Sequence[Weight]) -> list[tuple[Weight, Weight]]:
    """The same parameters of two nets: by name where all names are the same, else by place.

    UsageError if the two have not the same shapes, with the first place where they part.
    """
    if {(w.name, w.shape) for w in first} == {(w.name, w.shape) for w in second}:
        by_name = {weight.name: weight for weight in second}
        return [(weight, by_name[weight.name]) for weight in first]
    for mine, theirs in zip(first, second, strict=False):
        if mine.shape != theirs.shape:
            raise UsageError(
                f"not the same architecture: {mine.name} is {_sizes(mine)}, where the other net has "
                f"{theirs.name}, {_sizes(theirs)}"
            )
    if len(first) != len(second):
        raise UsageError(f"not the same architecture: {len(first)} parameter arrays against {len(second)}")
    return list(zip(first, second, strict=True))


@dataclass(frozen=True, slots=True)
class WeightComparison:
    """One parameter array of two nets, side by side.

    zeros: how many values are exactly zero. equal: how many are the same in both. correlation: Pearson's,
    None where one of the two is constant. rms: root mean square. classes: how many values there are in each
    class of magnitude; the classes are "exactly zero", then those between the EDGES and above the last.
    """

    name: str
    other_name: str
    shape: tuple[int, ...]
    size: int
    zeros: tuple[int, int]
    equal: int
    correlation: float | None
    rms: tuple[float, float]
    classes: tuple[tuple[int, ...], tuple[int, ...]]

    @property
    def prunable(self) -> bool:
        """See `Weight`."""
        return len(self.shape) >= 2


def compare_weights(first: Weight, second: Weight) -> WeightComparison:
    """Puts two arrays of one shape side by side."""
    sums = np.zeros(5)
    for x, y in zip(_pieces(first.array), _pieces(second.array), strict=True):
        wide_x, wide_y = x.astype(np.float64), y.astype(np.float64)
        sums += [wide_x.sum(), wide_y.sum(), wide_x @ wide_x, wide_y @ wide_y, wide_x @ wide_y]
    size = first.array.size
    rms = (math.sqrt(sums[2] / size), math.sqrt(sums[3] / size))
    return WeightComparison(
        name=first.name,
        other_name=second.name,
        shape=first.shape,
        size=size,
        zeros=(_zeros(first), _zeros(second)),
        equal=equal_values(first, second),
        correlation=_correlation(sums, size),
        rms=rms,
        classes=(_classes(first, rms[1]), _classes(second, rms[1])),
    )


def equal_values(first: Weight, second: Weight) -> int:
    """How many values are the same in two arrays of one shape."""
    pieces = zip(_pieces(first.array), _pieces(second.array), strict=True)
    return sum(int(np.count_nonzero(x == y)) for x, y in pieces)


def class_names() -> list[str]:
    """What the classes of magnitude are called, from zero up."""
    between = [f"{low:g} to {high:g}" for low, high in itertools.pairwise(EDGES)]
    return ["exactly 0", *between, f"above {EDGES[-1]:g}"]


def total_classes(rows: Iterable[WeightComparison], which: int) -> list[int]:
    """The classes of all prunable arrays together, of the first net (0) or the second (1)."""
    counts = np.array([row.classes[which] for row in rows if row.prunable]).reshape(-1, len(EDGES) + 1)
    return [int(count) for count in counts.sum(axis=0)]


def _classes(weight: Weight, scale: float) -> tuple[int, ...]:
    at_least = np.zeros(len(EDGES) - 1, np.int64)
    for piece in _pieces(weight.array):
        magnitudes = np.abs(piece.astype(np.float64))
        at_least += [np.count_nonzero(magnitudes >= edge * (scale or 1.0)) for edge in EDGES[1:]]
    zeros = _zeros(weight)
    limits = [weight.array.size - zeros, *map(int, at_least), 0]
    return (zeros, *(more - fewer for more, fewer in itertools.pairwise(limits)))


def _zeros(weight: Weight) -> int:
    return weight.array.size - int(np.count_nonzero(weight.array))


def _correlation(sums: Float64, size: int) -> float | None:
    """Pearson's correlation from the sums of x, y, xx, yy and xy."""
    x, y, xx, yy, xy = sums
    spread = (xx - x * x / size) * (yy - y * y / size)
    return float((xy - x * y / size) / math.sqrt(spread)) if spread > 0 else None


def _pieces(array: Float32) -> Iterator[Float32]:
    flat = array.reshape(-1)
    return (flat[start : start + PIECE] for start in range(0, flat.size, PIECE))


def _sizes(weight: Weight) -> str:
    return "x".join(map(str, weight.shape)) or "a single number"
