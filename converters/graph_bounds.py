"""What a net may become: bounds on sizes, arrays and nodes, in proportion to the bytes that are stored.

Real nets stay far below them. They end small files that would become more than any memory or patience holds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from converters.errors import LimitError
from converters.sizes import Shape, Symbol, shape_text

# The largest constant that the converters create: only a hostile definition asks for more elements.
MAX_CONSTANT_ELEMENTS = 2**25
# The largest array that is computed from sizes alone, such as places and prior boxes: with what is computed
# on the way, it takes some hundred MB.
MAX_COMPUTED_ELEMENTS = 2**22
# The largest size of a tensor along one dimension. No memory holds as many numbers.
MAX_SIZE = 2**40
# The most inputs of a model.
MAX_INPUTS = 4_096
# All arrays of a model together may take this many bytes, and this many times the bytes that are stored.
MAX_CREATED_BYTES = 2**27
MOST_EXPANSION = 4
# The most nodes of a model. Real nets have a few thousand; a sequence that is unrolled has more.
MAX_NODES = 16_384
# The most results of nodes, and initializers, together of a model whose weights take up to SMALL_BYTES; for
# larger weights this many for each SMALL_BYTES. Reading and writing so many takes a second.
MAX_VALUES = 6_144
# The same where arrays only stand for weights, and nothing is written: ResNet-1202 has some 12,000, and 80 MB
# of weights.
MAX_PLACEHOLDER_VALUES = 16_384
SMALL_BYTES = 1_000_000


def check_shape(shape: Shape) -> None:
    """LimitError for a tensor that is too large along one dimension."""
    for size in shape:
        if (size.factor if isinstance(size, Symbol) else size) > MAX_SIZE:
            raise LimitError(f"a tensor would be {shape_text(shape)}; the largest size is {MAX_SIZE:,}")


def check_computed(*sizes: int) -> None:
    """LimitError for an array of these sizes, which the definition alone asks for, that is too large."""
    if math.prod(sizes) > MAX_COMPUTED_ELEMENTS or any(size > MAX_COMPUTED_ELEMENTS for size in sizes):
        raise LimitError(
            f"the net asks for {shape_text(sizes)} numbers that are computed from sizes alone; the limit is "
            f"{MAX_COMPUTED_ELEMENTS:,}"
        )


def filled(shape: Sequence[int], value: float) -> np.ndarray:
    """A float32 array of one value; LimitError for a size that no real net needs."""
    if any(size < 0 for size in shape) or math.prod(shape) > MAX_CONSTANT_ELEMENTS:
        raise LimitError(
            f"the net asks for a constant of shape {shape_text(shape)}; the largest that is created has "
            f"{MAX_CONSTANT_ELEMENTS:,} values"
        )
    return np.full(shape, value, np.float32)


def most_values(stored_bytes: int) -> int:
    """How many nodes and initializers a net may have whose weights take so many bytes."""
    return max(MAX_VALUES, MAX_VALUES * stored_bytes // SMALL_BYTES)


def value_limit_text(most: int) -> str:
    """What an error says where a net would have more than `most_values`."""
    return (
        f"more than {most:,} operations, weights and constants, more than any real net with as few bytes of "
        f"weights ({MAX_VALUES:,} for each {SMALL_BYTES:,})"
    )


class GraphBounds:
    """How much a graph has used of what it may become: LimitError for more nodes or larger arrays.

    stored_bytes: how many bytes of weights there are; None where arrays only stand for weights.
    """

    def __init__(self, stored_bytes: int | None) -> None:
        self._bytes_left = MAX_CREATED_BYTES + MOST_EXPANSION * (stored_bytes or 0)
        self._has_placeholders = stored_bytes is None
        self._most_values = MAX_PLACEHOLDER_VALUES if stored_bytes is None else most_values(stored_bytes)
        self._inputs = self._nodes = self._values = 0

    @property
    def fit_without_weights(self) -> bool:
        """Whether a net without stored weights may have as many nodes and initializers as were counted."""
        return self._values <= MAX_VALUES

    def count_input(self) -> None:
        """Count an input."""
        if self._inputs == MAX_INPUTS:
            raise LimitError(f"the net has more than {MAX_INPUTS:,} inputs, more than any real net")
        self._inputs += 1

    def count_node(self, outputs: int) -> None:
        """Count a node by its outputs: one of tens of thousands takes as much as so many nodes."""
        if self._nodes == MAX_NODES:
            raise LimitError(
                f"the net would become more than {MAX_NODES:,} operations: sequences or a number of tops, "
                "bottoms or modules that no real net has"
            )
        self._nodes += 1
        self._count_values(outputs)

    def count_array(self, array: np.ndarray) -> None:
        """Count an initializer, and the bytes of its array."""
        self._charge(array)
        self._count_values(1)

    def _count_values(self, count: int) -> None:
        """Count the results of a node, or an initializer: a small file must not take long to write."""
        self._values += count
        if self._values > self._most_values:
            raise LimitError(f"the net would become {value_limit_text(self._most_values)}")

    def _charge(self, array: np.ndarray) -> None:
        """Count the bytes of an array. A placeholder, one number shown many times, takes none."""
        if self._has_placeholders and array.size and not any(array.strides):
            return
        self._bytes_left -= array.nbytes
        if self._bytes_left < 0:
            raise LimitError(
                f"its weights and constants would take far more memory than the file has bytes (the last of "
                f"them is {shape_text(array.shape)}); they may take {MOST_EXPANSION} times the bytes stored, "
                f"and {MAX_CREATED_BYTES:,} more"
            )
