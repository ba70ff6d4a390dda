"""Modules that change the shape of a tensor and leave its values alone."""

from __future__ import annotations

import onnx_ir as ir

from converters.errors import FormatError
from converters.from_torch7.builder import Builder
from converters.from_torch7.module import Module
from converters.from_torch7.modules.windows import is_static
from converters.from_torch7.registry import PASS, view
from converters.graph import Dim, Shape, Symbol, dims, product, shape_text, static


def reshape_back(g: Builder, m: Module, below: ir.Value, seen: ir.Value) -> ir.Value:
    """The inverse of every reshape."""
    return g.reshape(seen, dims(below))


def checked_reshape(g: Builder, m: Module, x: ir.Value, shape: Shape) -> ir.Value:
    """A reshape; FormatError if the number of elements differs."""
    have, want = product(dims(x)), product(shape)
    if isinstance(have, int) and isinstance(want, int) and have != want:
        raise m.error(FormatError, f"{shape_text(dims(x))} cannot be viewed as {shape_text(shape)}")
    return g.reshape(x, shape)


def view_shape(m: Module, came: Shape) -> Shape:
    """The output shape of nn.View (View.lua, batchsize): what `size` does not account for is the batch."""
    size = m.sizes("size")
    inner = m.optional_integer("numInputDims")
    kept = min(inner, len(came)) if inner is not None else len(came)
    lead, rest = came[: len(came) - kept], product(came[len(came) - kept :])
    elements = product([s for s in size if s >= 0])
    batch = product(lead) if -1 in size else product(lead) * quotient(m, rest, elements)
    if batch == 1 and (inner is None or len(came) <= inner):
        return inferred(m, size, product(came))
    return (batch, *inferred(m, size, rest))


def quotient(m: Module, total: Dim, part: Dim) -> Dim:
    """total / part, which must divide it."""
    divisor = static(part, "the size of a view")
    if isinstance(total, int) and (divisor == 0 or total % divisor):
        raise m.error(FormatError, f"{total} elements cannot be viewed as several of {divisor}")
    return total // divisor


def inferred(m: Module, size: list[int], total: Dim) -> Shape:
    """The sizes with a -1 replaced by what makes up the total."""
    if -1 not in size:
        return tuple(size)
    known = product([s for s in size if s != -1])
    return tuple(quotient(m, total, known) if s == -1 else s for s in size)


@view("View", put=reshape_back, copies=True, expects=lambda m: PASS)
def view_module(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """The same elements under another shape; the batch is what is left over."""
    size, inner = m.sizes("size"), m.optional_integer("numInputDims")
    if inner is not None and inner < len(dims(x)) and -1 not in size and not is_static(dims(x)[1:]):
        # The batch takes up what is left, whatever the open sizes are.
        return g.reshape(x, (g.size(Symbol("N"), ("view", dims(x), tuple(size))), *size))
    return checked_reshape(g, m, x, view_shape(m, dims(x)))


@view("Reshape", put=reshape_back, copies=True, expects=lambda m: PASS)
def reshape(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """The same elements under another shape, with or without a batch dimension in front.

    Without batchMode the input is taken for a single sample if its element count says so and its first
    size is not 1 (Reshape.lua).
    """
    size = m.sizes("size")
    total = product(dims(x))
    single = not m.flag("batchMode")
    if m.get("batchMode") is None:
        elements = product(size)
        single = total == elements and dims(x)[0] != 1
        if isinstance(total, Symbol) and total.factor != elements:
            static(total, f"the element count at {m.place}")
    if single:
        return checked_reshape(g, m, x, inferred(m, size, total))
    return checked_reshape(g, m, x, (dims(x)[0], *inferred(m, size, product(dims(x)[1:]))))


def narrow_range(m: Module, x: ir.Value) -> tuple[int, int, int]:
    """Axis, start and stop of nn.Narrow."""
    axis = m.integer("dimension")
    axis = axis - 1 if axis > 0 else axis + len(dims(x))
    size = static(dims(x)[axis], f"the size narrowed at {m.place}")
    length, start = m.integer("length"), m.integer("index")
    if length < 0:
        length = size - start + length + 2
    start = start - 1
    if not 0 <= start < start + length <= size:
        raise m.error(FormatError, f"takes {length} entries from {start + 1}, but there are {size}")
    return axis, start, start + length


def put_narrow(g: Builder, m: Module, below: ir.Value, seen: ir.Value) -> ir.Value:
    """The tensor below with the narrowed part replaced."""
    axis, start, stop = narrow_range(m, below)
    size = static(dims(below)[axis], "the size")
    parts = [seen]
    if start:
        parts.insert(0, g.slice(below, axis, 0, start))
    if stop < size:
        parts.append(g.slice(below, axis, stop, size))
    return g.concat(parts, axis)


@view("Narrow", put=put_narrow, contiguous=lambda m, shape: m.integer("dimension") == 1)
def narrow(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """`length` entries of a dimension from `index` on; a negative length counts from the end."""
    return g.slice(x, *narrow_range(m, x))
