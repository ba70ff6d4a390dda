"""The graph builder with additions for Torch modules: shared weights, derived sizes, broadcasting."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from converters.errors import FormatError, StaticSizeRequired
from converters.graph import Graph, scalar
from converters.sizes import Dim, Shape, Symbol, dims, product, shape_text


@dataclass(frozen=True)
class OpenProduct(Symbol):
    """The product of several open sizes, such as the height times the width.

    Only an output of the net may have such a size: see `Builder.check_open_products`.
    """


class Builder(Graph):
    """A `Graph` in which tensors over the same part of the file become one initializer."""

    def __init__(self, name: str, stored_bytes: int = 0) -> None:
        super().__init__(name, stored_bytes)
        # by family: how many derived sizes have a name in it
        self._family_sizes: Counter[str] = Counter()
        self._weights: dict[tuple[int, Shape, tuple[int, ...], str], tuple[np.ndarray, ir.Value]] = {}
        self._sizes: dict[tuple[str, object], Symbol] = {}

    def weight(self, name: str, array: np.ndarray) -> ir.Value:
        """A float32 parameter of the current layer; the same part of the file is stored once.

        The array is not copied unless its type has to change.
        """
        address = array.__array_interface__["data"][0]
        key = address, array.shape, array.strides, array.dtype.str
        if key not in self._weights:
            # Keeping the array keeps its address from being used again.
            self._weights[key] = array, self.parameter(name, array.astype(np.float32, copy=False))
        return self._weights[key][1]

    def derived_size(self, base: Symbol, formula: object) -> Symbol:
        """A named size derived from the size `base`; the same formula gives the same name."""
        key = str(base), formula
        if key not in self._sizes:
            family = str(base).split("_")[0]
            count = sum(number for name, number in self._family_sizes.items() if name.startswith(family))
            self._family_sizes[family] += 1
            self._sizes[key] = Symbol(f"{family}_{count + 1}")
        return self._sizes[key]

    def element_count(self, shape: Sequence[Dim]) -> Dim:
        """The product of the sizes; an `OpenProduct` if more than one of them is open."""
        symbols = [size for size in shape if isinstance(size, Symbol)]
        if len(symbols) < 2:
            return product(shape)
        factor = math.prod(size.factor if isinstance(size, Symbol) else size for size in shape)
        name = self.derived_size(Symbol("P"), ("product", *sorted(symbol.name for symbol in symbols))).name
        return OpenProduct(name, factor)

    def check_open_products(self) -> None:
        """StaticSizeRequired if a value that is used further has an `OpenProduct` as a size.

        What follows would work with any number of features, and the net was made for one.
        """
        for node in self._nodes:
            for value in node.outputs:
                if value.uses() and any(isinstance(size, OpenProduct) for size in dims(value)):
                    shape = shape_text(dims(value))
                    raise StaticSizeRequired(
                        f"{node.doc_string}: gives {shape}, a product of sizes that must be known beforehand"
                    )

    def scaled_size(self, size: Dim, factor: int, offset: int = 0) -> Dim:
        """size * factor + offset; a new name if the size is symbolic and the offset is not 0."""
        if isinstance(size, Symbol) and offset:
            return self.derived_size(size, ("stretched", factor, offset))
        return size * factor + offset if isinstance(size, int) else size * factor

    def binary(self, op_type: str, a: ir.Value, b: ir.Value | float) -> ir.Value:
        """An elementwise operator on a value and a number, or on two values of broadcastable shapes."""
        if not isinstance(b, ir.Value):
            return self.node(op_type, a, scalar(b))
        return self.node(op_type, a, b, shape=broadcast_shapes(dims(a), dims(b)))

    def transpose(self, x: ir.Value, order: Sequence[int]) -> ir.Value:
        """x with its dimensions in this order."""
        if list(order) == list(range(len(order))):
            return x
        return self.node("Transpose", x, shape=[dims(x)[axis] for axis in order], perm=list(order))

    def unsqueeze(self, x: ir.Value, axis: int) -> ir.Value:
        """x with a new dimension of size 1 at `axis`."""
        shape = list(dims(x))
        shape.insert(axis, 1)
        return self.node("Unsqueeze", x, np.array([axis], np.int64), shape=shape)

    def squeeze(self, x: ir.Value, axes: Sequence[int]) -> ir.Value:
        """x without these dimensions, which all have size 1."""
        if not axes:
            return x
        shape = [size for axis, size in enumerate(dims(x)) if axis not in axes]
        return self.node("Squeeze", x, np.array(sorted(axes), np.int64), shape=shape)

    def slice(self, x: ir.Value, axis: int, start: int, stop: int) -> ir.Value:
        """x[..., start:stop, ...] along `axis`; start and stop count from 0 and lie within the size."""
        shape = list(dims(x))
        if (start, stop) == (0, shape[axis]):
            return x
        shape[axis] = stop - start
        return self.node("Slice", x, *(np.array([n], np.int64) for n in (start, stop, axis)), shape=shape)

    def crop(self, x: ir.Value, axis: int, before: int, after: int) -> ir.Value:
        """x without its first `before` and its last `after` entries along `axis`, whose size may be open."""
        size = dims(x)[axis]
        if isinstance(size, int):
            return self.slice(x, axis, before, size - after)
        shape = list(dims(x))
        shape[axis] = self.scaled_size(size, 1, -before - after)
        stop = -after if after else np.iinfo(np.int64).max
        return self.node("Slice", x, *(np.array([n], np.int64) for n in (before, stop, axis)), shape=shape)

    def full(self, shape: Sequence[int], value: float) -> ir.Value:
        """A tensor filled with a number."""
        sizes = np.array(shape, np.int64)
        return self.nodes("Expand", scalar(value), sizes, shapes=[tuple(shape)])[0]

    def pad(
        self, x: ir.Value, pads: Sequence[tuple[int, int]], mode: str | None = None, value: float = 0
    ) -> ir.Value:
        """x with (before, after) entries added to each dimension: `value`, or by ONNX's padding `mode`."""
        shape = [add_sizes([size, sum(pair)], self) for size, pair in zip(dims(x), pads, strict=True)]
        amounts = np.array([pair[0] for pair in pads] + [pair[1] for pair in pads], np.int64)
        filling = scalar(value) if value else None
        return self.node("Pad", x, amounts, filling, shape=shape, mode=mode)

    def concat(self, parts: Sequence[ir.Value], axis: int) -> ir.Value:
        """The parts joined along `axis`; all their other sizes are equal."""
        if len(parts) == 1:
            return parts[0]
        shape = list(dims(parts[0]))
        shape[axis] = add_sizes([dims(part)[axis] for part in parts], self)
        return self.node("Concat", *parts, shape=shape, axis=axis)


def broadcast_shapes(a: Shape, b: Shape) -> Shape:
    """The shape of an elementwise result; FormatError if the shapes cannot be broadcast."""
    width = max(len(a), len(b))
    padded = [(1,) * (width - len(shape)) + shape for shape in (a, b)]
    shape = []
    for left, right in zip(*padded, strict=True):
        if isinstance(left, int) and isinstance(right, int) and left != right and 1 not in (left, right):
            raise FormatError(f"sizes {shape_text(a)} and {shape_text(b)} cannot be broadcast to one shape")
        shape.append(right if left == 1 or (isinstance(left, Symbol) and right != 1) else left)
    return tuple(shape)


def add_sizes(sizes: Sequence[Dim], graph: Builder) -> Dim:
    """The sum of sizes; a new name if one of them is symbolic."""
    known = sum(size for size in sizes if isinstance(size, int))
    symbols = [size for size in sizes if isinstance(size, Symbol)]
    if not symbols:
        return known
    if len({symbol.name for symbol in symbols}) == 1 and not known:
        return Symbol(symbols[0].name, sum(symbol.factor for symbol in symbols))
    return graph.derived_size(symbols[0], ("sum", known, *map(str, symbols)))
