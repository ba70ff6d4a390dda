"""Modules that give a tensor another shape: views of its storage, or copies in another order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from converters.errors import FormatError, StaticSizeRequired
from converters.from_torch7.builder import Builder, OpenProduct
from converters.from_torch7.conversion import Conversion
from converters.from_torch7.module import Module
from converters.from_torch7.modules.checks import as_tensor
from converters.from_torch7.modules.windows import is_static
from converters.from_torch7.objects import Table
from converters.from_torch7.registry import module, structure, view
from converters.from_torch7.tensor_references import Copies, NestedTensors, View
from converters.sizes import Dim, Shape, Symbol, dims, product, shape_text, static


def write_through_reshape(g: Builder, m: Module, base: ir.Value, new: ir.Value) -> ir.Value:
    """The new value of the base of any reshaped view."""
    return g.reshape(new, dims(base))


def checked_reshape(g: Builder, m: Module, x: ir.Value, shape: Shape) -> ir.Value:
    """A reshape; FormatError if the number of elements differs."""
    elements, wanted = g.element_count(dims(x)), g.element_count(shape)
    if isinstance(elements, int) and isinstance(wanted, int) and elements != wanted:
        raise m.error(FormatError, f"{shape_text(dims(x))} cannot be viewed as {shape_text(shape)}")
    return g.reshape(x, shape)


def view_shape(g: Builder, m: Module, shape: Shape) -> Shape:
    """The output shape of nn.View (View.lua, batchsize): elements beyond those of `size` form the batch."""
    size = m.sizes("size")
    inner = m.optional_integer("numInputDims")
    kept = len(shape) if inner is None else inner
    if kept > len(shape):
        raise m.error(FormatError, f"takes {kept} dimensions or more, not {shape_text(shape)}")
    lead, rest = shape[: len(shape) - kept], shape[len(shape) - kept :]
    batch = product(lead) if -1 in size else product(lead) * sample_count(g, m, rest, size)
    if batch == 1 and (inner is None or len(shape) <= inner):
        return resolve_sizes(g, m, size, shape)
    return (batch, *resolve_sizes(g, m, size, rest))


def sample_count(g: Builder, m: Module, shape: Shape, size: list[int]) -> Dim:
    """How many samples of these sizes the elements of a shape are."""
    if isinstance(g.element_count(shape), OpenProduct):
        raise m.error(
            StaticSizeRequired,
            f"{times_text(shape)} elements become samples of {times_text(size)}: the sizes must be known",
        )
    return quotient(g, m, shape, product(size))


def quotient(g: Builder, m: Module, shape: Shape, part: Dim) -> Dim:
    """The number of elements of a shape, divided by a part of them.

    FormatError if that is not a whole number, whatever the number of samples; StaticSizeRequired if it
    depends on other open sizes.
    """
    total, divisor = g.element_count(shape), static(part, "the size of a view")
    factor = total.factor if isinstance(total, Symbol) else total
    if divisor > 0 and factor % divisor == 0:
        return total // divisor
    if is_static(shape[1:]):
        count = f"{times_text(shape)} = {total}" if len(shape) > 1 else str(total)
        raise m.error(FormatError, f"{count} elements do not divide into parts of {divisor}")
    raise m.error(
        StaticSizeRequired,
        f"{times_text(shape)} elements must divide into parts of {divisor}: the sizes must be known",
    )


def times_text(sizes: Sequence[Dim]) -> str:
    """Sizes as a product: 4 x 222 x 222."""
    return " x ".join(map(str, sizes))


def resolve_sizes(g: Builder, m: Module, size: list[int], shape: Shape) -> Shape:
    """The sizes with a -1 replaced so that there are as many elements as in `shape`."""
    if min(size) < -1 or size.count(-1) > 1:
        raise m.error(
            FormatError, f"cannot view as {shape_text(size)}: only one size may be -1, and none less"
        )
    if -1 not in size:
        return tuple(size)
    known = product([s for s in size if s != -1])
    return tuple(quotient(g, m, shape, known) if s == -1 else s for s in size)


@view("View", write_through=write_through_reshape, copies_unless_contiguous=True)
def view_module(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """The same elements in another shape; those beyond `size` form the batch."""
    size, inner = m.sizes("size"), m.optional_integer("numInputDims")
    if inner is not None and inner < len(dims(x)) and -1 not in size and not is_static(dims(x)[1:]):
        # The batch size follows from the open sizes, whatever they are.
        return g.reshape(x, (g.derived_size(Symbol("N"), ("view", dims(x), tuple(size))), *size))
    return checked_reshape(g, m, x, view_shape(g, m, dims(x)))


@view("Reshape", write_through=write_through_reshape, copies_unless_contiguous=True)
def reshape(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """The same elements in another shape, with or without a batch dimension in front.

    Without batchMode, the input is a single sample if it has as many elements as `size` says, and its first
    size is not 1 (Reshape.lua).
    """
    size = m.sizes("size")
    single = not m.flag("batchMode")
    if m.get("batchMode") is None:
        total, elements = product(dims(x)), product(size)
        single = total == elements and dims(x)[0] != 1
        if isinstance(total, Symbol) and total.factor != elements:
            m.static_size(total, "the number of elements it gets")
    if single:
        return checked_reshape(g, m, x, resolve_sizes(g, m, size, dims(x)))
    return checked_reshape(g, m, x, (dims(x)[0], *resolve_sizes(g, m, size, dims(x)[1:])))


@view("Collapse", write_through=write_through_reshape, copies_unless_contiguous=True)
def collapse(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """All dimensions but the batch folded into one; without a batch, all of them."""
    if len(dims(x)) > m.integer("nInputDim"):
        return g.reshape(x, (dims(x)[0], g.element_count(dims(x)[1:])))
    return g.reshape(x, (g.element_count(dims(x)),))


@view("Squeeze", write_through=write_through_reshape)
def squeeze(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """Dimensions of size 1 removed: one, or all of them but the batch (numInputDims).

    An open first size is taken as the batch, which is more than 1; other sizes must be known.
    """
    shape = dims(x)
    batched = m.has("numInputDims") and len(shape) == m.integer("numInputDims") + 1
    if m.has("dim"):
        axis = m.integer("dim") - 1 + batched
        if not 0 <= axis < len(shape):
            raise m.error(FormatError, f"removes dimension {axis + 1} of {len(shape)}")
        axes = [axis] if m.static_size(shape[axis]) == 1 and len(shape) > 1 else []
    else:
        sizes = [shape[0], *(m.static_size(size) for size in shape[1:])]
        axes = [axis for axis, size in enumerate(sizes) if size == 1 and not (batched and axis == 0)]
        if len(axes) == len(shape):
            axes = axes[1:]  # a tensor keeps one dimension
    return g.squeeze(x, axes)


@view("Unsqueeze", write_through=write_through_reshape)
def unsqueeze(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """A new dimension of size 1 at `pos`, not counting a batch dimension (numInputDims)."""
    rank = len(dims(x))
    lead = rank - m.integer("numInputDims", rank)
    axis = m.integer("pos", minimum=1) - 1 + lead
    if not 0 <= lead <= axis <= rank:
        raise m.error(FormatError, f"position {axis + 1} is not in or behind {rank} dimensions")
    return g.unsqueeze(x, axis)


def axis_of(m: Module, x: ir.Value, name: str = "dimension") -> int:
    """The axis (from 0) that a field names from 1, or from the end if negative."""
    index = m.integer(name)
    axis = index - 1 if index > 0 else index + len(dims(x))
    if not 0 <= axis < len(dims(x)):
        raise m.error(FormatError, f"works on dimension {index}, but the input is {shape_text(dims(x))}")
    return axis


def narrow_range(m: Module, x: ir.Value) -> tuple[int, int, int]:
    """Axis, start and stop of nn.Narrow (Narrow.lua): negative lengths and offsets count from the end."""
    axis, length, start = axis_of(m, x), m.integer("length"), m.integer("index")
    if length < 0:
        length += m.static_size(dims(x)[axis]) - start + 2
    if start < 0:
        length, start = m.static_size(dims(x)[axis]) - length, 1
    size = dims(x)[axis]
    if start < 1 or length < 1 or (isinstance(size, int) and start - 1 + length > size):
        raise m.error(FormatError, f"takes {length} entries from {start} on, but there are {size}")
    return axis, start - 1, start - 1 + length


@module("Narrow")
def narrow(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """`length` entries of a dimension from `index` on."""
    return g.slice(x, *narrow_range(m, x))


def take_entry(g: Builder, x: ir.Value, axis: int, index: int) -> ir.Value:
    """One entry of a dimension, which is removed; index from 0, or from the end if negative."""
    shape = [size for k, size in enumerate(dims(x)) if k != axis]
    return g.node("Gather", x, np.array(index, np.int64), shape=shape, axis=axis)


def selected_index(m: Module, x: ir.Value) -> int:
    """The index of the entry that nn.Select takes, from 0, or negative from the end."""
    index, size = m.integer("index"), dims(x)[axis_of(m, x)]
    if index == 0 or (isinstance(size, int) and abs(index) > size):
        raise m.error(FormatError, f"takes entry {index} of {size}")
    return index - 1 if index > 0 else index


@module("Select")
def select(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """One entry of a dimension."""
    if len(dims(x)) == 1:
        raise m.error(FormatError, "takes 2-D input or more; an entry of a vector is no tensor")
    return take_entry(g, x, axis_of(m, x), selected_index(m, x))


def refuse_write(g: Builder, m: Module, base: ir.Value, new: ir.Value) -> ir.Value:
    """UnsupportedError: Torch would work in place once for each copy, all on the same storage."""
    raise m.unsupported("a later module works in place, on storage that all copies share")


def replicate_axis(m: Module, shape: Shape) -> int:
    """The axis of the copies, by the shape of the input."""
    axis = m.integer("dim", 1) - 1 + (m.has("ndim") and len(shape) > m.integer("ndim"))
    if not 0 <= axis <= len(shape):
        raise m.error(FormatError, f"dimension {axis + 1} is not in or behind {len(shape)} dimensions")
    return axis


@view(
    "Replicate",
    write_through=refuse_write,
    part=lambda m, shape: Copies(replicate_axis(m, shape), shape, m.integer("nfeatures")),
)
def replicate(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """A new dimension of nfeatures equal entries at `dim`, not counting a batch dimension (ndim)."""
    rank = len(dims(x))
    axis = replicate_axis(m, dims(x))
    copies = m.integer("nfeatures", minimum=1)
    shape = [*dims(x)[:axis], copies, *dims(x)[axis:]]
    target = np.array([1] * axis + [copies] + [1] * (rank - axis), np.int64)
    return g.node("Expand", g.unsqueeze(x, axis), target, shape=shape)


@module("Transpose")
def transpose(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """Pairs of dimensions swapped, one after the other, not counting a batch dimension (numInputDims)."""
    rank = len(dims(x))
    shift = rank - m.integer("numInputDims", rank)
    order = list(range(rank))
    for pair in swapped_pairs(m):
        a, b = (index - 1 + shift for index in pair)
        if not (0 <= a < rank and 0 <= b < rank):
            raise m.error(FormatError, f"swaps dimensions {pair[0]} and {pair[1]} of {rank}")
        order[a], order[b] = order[b], order[a]
    return g.transpose(x, order)


def swapped_pairs(m: Module) -> list[tuple[int, int]]:
    """The pairs of dimensions (from 1) in the field `permutations`."""
    pairs = []
    listed = m.get("permutations")
    for pair in listed.sequence() if isinstance(listed, Table) else [None]:
        numbers = pair.sequence() if isinstance(pair, Table) else []
        if len(numbers) != 2 or not all(isinstance(n, float) and n.is_integer() for n in numbers):
            raise m.error(FormatError, "field 'permutations' should be a list of pairs of dimensions")
        pairs.append((int(numbers[0]), int(numbers[1])))
    return pairs


@structure("Convert")
def convert(conversion: Conversion, m: Module, x: NestedTensors) -> NestedTensors:
    """A change of layout, named by letters such as bchw, bhwc or bf (Convert.lua).

    A single sample gets a batch dimension for it. Where nothing moves, the result shares the storage of x.
    """
    source, target = m.text("inputShape"), m.text("outputShape")
    if source != target and set(source) != set(target) and target not in {"bf", "b", "bt"}:
        raise m.unsupported(f"no conversion from {source} to {target} is defined")
    tensor, g = as_tensor(m, x), conversion.graph
    folds = set(source) != set(target) and target in {"bf", "bt"} and source.startswith("b")
    with conversion.layer(m, "convert") as layer:
        if source == target and len(dims(tensor.read())) == len(source):
            layer.set_output(tensor.read(), tensor.read())
            return tensor
        if not (source == target or (folds and tensor.contiguous)):
            result = convert_layout(g, m, tensor.read(), source, target)
            layer.set_output(tensor.read(), result)
            return conversion.output_of(m, result, x)
        output = View(
            tensor,
            lambda base: convert_layout(g, m, base, source, target),
            lambda base, new: g.reshape(new, dims(base)),
        )
        layer.set_output(tensor.read(), output.read())
        return conversion.output_set(m, output)


def convert_layout(g: Builder, m: Module, x: ir.Value, source: str, target: str) -> ir.Value:
    """nn.Convert of a batch or a single sample."""
    if source == target:
        return x
    single = len(dims(x)) < len(source)
    if single:
        x = g.unsqueeze(x, source.index("b"))
    if len(dims(x)) != len(source):
        raise m.error(FormatError, f"takes {source}, but {shape_text(dims(x))} arrives")
    result = convert_batch(g, m, x, source, target)
    return g.squeeze(result, [target.index("b")]) if single else result


def convert_batch(g: Builder, m: Module, x: ir.Value, source: str, target: str) -> ir.Value:
    """nn.Convert of a batch."""
    if set(source) == set(target):
        return g.transpose(x, [source.index(letter) for letter in target])
    if target in {"bf", "bt"}:
        front = g.transpose(x, swapped_to_front(source))
        return g.reshape(front, (dims(front)[0], product(dims(front)[1:])))
    other = source.replace("b", "")
    if len(other) != 1 or other not in "ft":
        raise m.unsupported(f"no conversion from {source} to {target} is defined")
    return take_entry(g, x, source.index(other), 0)


def swapped_to_front(source: str) -> list[int]:
    """The order of dimensions after the batch is swapped with the first."""
    order = list(range(len(source)))
    place = source.index("b")
    order[0], order[place] = order[place], order[0]
    return order
