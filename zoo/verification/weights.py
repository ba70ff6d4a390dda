"""The weights of a net as named arrays, and a comparison of the weights of two nets.

It shows what Dense-Sparse-Dense training did: which weights are zero, how they correlate with those of the
baseline, and how their magnitudes are distributed.
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

# Sums are in float64 over chunks of this many values, so that no copy of a whole array is needed.
CHUNK_VALUES = 1 << 20
# Classes of magnitude, as multiples of the root mean square of the same layer in the second net.
EDGES = (0.0, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0)


@dataclass(frozen=True, slots=True)
class Weight:
    """One parameter array of a net, float32, under the name <layer>.<kind>."""

    name: str
    array: Float32

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array."""
        return self.array.shape

    @property
    def prunable(self) -> bool:
        """Whether pruning applies to it: to weights of convolutions and inner products, not to biases."""
        return self.array.ndim >= 2

    @property
    def is_finite(self) -> bool:
        """Whether every value is finite."""
        return all(bool(np.isfinite(chunk).all()) for chunk in _chunks(self.array))


def weights_of(model: ir.Model) -> list[Weight]:
    """All float parameters of a loaded net in its order, running statistics included; views, no copies."""
    return [Weight(name, array) for name, array in converters.weights_of(model).items()]


def pair_weights(first: Sequence[Weight], second: Sequence[Weight]) -> list[tuple[Weight, Weight]]:
    """Match the parameters of two nets: by name if all names are the same, else by position.

    UsageError if their shapes differ; it names the first difference.
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
    """One parameter array in two nets.

    zeros: number of exact zeros. equal: number of equal values. correlation: Pearson's, None if one array is
    constant. rms: root mean square. classes: number of values in each class of magnitude; the classes are
    "exactly zero", then those between the EDGES and above the last.
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
    """Compare two arrays of the same shape."""
    sums = np.zeros(5)
    for x, y in zip(_chunks(first.array), _chunks(second.array), strict=True):
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
    """The number of equal values in two arrays of the same shape."""
    chunks = zip(_chunks(first.array), _chunks(second.array), strict=True)
    return sum(int(np.count_nonzero(x == y)) for x, y in chunks)


def class_names() -> list[str]:
    """The names of the classes of magnitude, from zero up."""
    between = [f"{low:g} to {high:g}" for low, high in itertools.pairwise(EDGES)]
    return ["exactly 0", *between, f"above {EDGES[-1]:g}"]


def total_classes(rows: Iterable[WeightComparison], which: int) -> list[int]:
    """The classes summed over all prunable arrays of the first net (0) or the second (1)."""
    counts = np.array([row.classes[which] for row in rows if row.prunable]).reshape(-1, len(EDGES) + 1)
    return [int(count) for count in counts.sum(axis=0)]


def histogram(weight: Weight, scale: float, bins: int, reach: float) -> NDArray[np.int64]:
    """How many values lie in each of `bins` equal parts of -reach * scale to reach * scale.

    What lies farther out is counted in the outermost parts; exact zeros and values that are no numbers are
    not counted.
    """
    counts = np.zeros(bins, np.int64)
    width = reach * (scale or 1.0)
    for chunk in _chunks(weight.array):
        values = chunk[(chunk != 0) & ~np.isnan(chunk)]
        counts += np.histogram(np.clip(values, -width, width), bins, (-width, width))[0]
    return counts


def _classes(weight: Weight, scale: float) -> tuple[int, ...]:
    at_least = np.zeros(len(EDGES) - 1, np.int64)
    for chunk in _chunks(weight.array):
        magnitudes = np.abs(chunk.astype(np.float64))
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


def _chunks(array: Float32) -> Iterator[Float32]:
    flat = array.reshape(-1)
    return (flat[start : start + CHUNK_VALUES] for start in range(0, flat.size, CHUNK_VALUES))


def _sizes(weight: Weight) -> str:
    return "x".join(map(str, weight.shape)) or "a single number"
