"""Modules that take or rearrange tables of tensors."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import partial

import onnx_ir as ir

from converters.errors import FormatError
from converters.from_torch7.backward_shape_inference import ANY, Expected, Repeated, ShapeDependent
from converters.from_torch7.builder import Builder
from converters.from_torch7.conversion import Conversion
from converters.from_torch7.module import Module
from converters.from_torch7.modules.checks import as_table, as_tensor, first_two_tensors, table_entry
from converters.from_torch7.modules.reduction import axis_behind_batch, reduce
from converters.from_torch7.modules.shape import take_entry
from converters.from_torch7.registry import module, structure
from converters.from_torch7.tensor_references import (
    Entry,
    NestedTensors,
    Overlap,
    TensorReference,
    ValueStorage,
    View,
    flatten,
    overlap,
)
from converters.sizes import Dim, Shape, Symbol, dims, product, shape_text


@structure(
    "Identity",
    "PrintSize",
    "L1Penalty",
    "NormStabilizer",
    "CopyGrad",
    "w2nn.PrintTable",
    expects=ANY,
)
def identity(conversion: Conversion, m: Module, x: NestedTensors) -> NestedTensors:
    """The input itself."""
    return x


@structure("ZeroGrad", "GradientReversal", expects=ANY)
def same_storage(conversion: Conversion, m: Module, x: NestedTensors) -> NestedTensors:
    """The input, as another tensor over the same storage."""
    return conversion.output_set(m, as_tensor(m, x))


@structure("Contiguous", expects=ANY)
def contiguous(conversion: Conversion, m: Module, x: NestedTensors) -> NestedTensors:
    """The input itself if it is contiguous, else a contiguous copy."""
    tensor = as_tensor(m, x)
    if tensor.contiguous:
        return conversion.output_set(m, tensor)
    last = conversion.output_tensor(m)
    if last is not None and overlap(last, tensor) is not Overlap.NONE:
        last.set(ValueStorage(tensor.read()))
    return conversion.output_of(m, tensor.read(), tensor)


def check_tensors(m: Module, x: list[ir.Value]) -> list[ir.Value]:
    """The table x, which must hold one or more tensors and nothing else, else FormatError."""
    if not x or not all(isinstance(part, ir.Value) for part in x):
        raise m.error(FormatError, "takes a table of 1 or more tensors")
    return x


def elementwise(g: Builder, m: Module, op_type: str, parts: list[ir.Value]) -> ir.Value:
    """An elementwise operator on tensors of equally many elements, in the shape of the first, as in Torch."""
    first = dims(parts[0])
    aligned = [parts[0], *(reshape_like(g, m, part, first) for part in parts[1:])]
    return parts[0] if len(parts) == 1 else g.node(op_type, *aligned, shape=first)


def may_be_equal(a: Dim, b: Dim) -> bool:
    """Whether two sizes can be equal: they are, or one of them is symbolic."""
    return a == b or isinstance(a, Symbol) or isinstance(b, Symbol)


def reshape_like(g: Builder, m: Module, x: ir.Value, shape: Shape) -> ir.Value:
    """x in this shape; FormatError if the number of elements differs."""
    if len(dims(x)) == len(shape) and all(map(may_be_equal, dims(x), shape)):
        return x
    if product(dims(x)) != product(shape):
        sizes = f"{shape_text(dims(x))} to {shape_text(shape)}"
        raise m.error(FormatError, f"cannot reshape {sizes}: the numbers of elements differ")
    return g.reshape(x, shape)


@module("CAddTable", name="add", takes="table", supports_inplace=True, expects=Repeated())
def c_add_table(g: Builder, m: Module, x: list[ir.Value]) -> ir.Value:
    """The sum of the tensors of a table."""
    return elementwise(g, m, "Sum" if len(x) > 2 else "Add", check_tensors(m, x))


@module("CSubTable", name="sub", takes="table", may_overwrite=True, expects=[None, None])
def c_sub_table(g: Builder, m: Module, x: list[ir.Value]) -> ir.Value:
    """The first tensor of a table minus the second."""
    return elementwise(g, m, "Sub", first_two_tensors(m, x))


@module("CMulTable", name="mul", takes="table", may_overwrite=True, expects=Repeated())
def c_mul_table(g: Builder, m: Module, x: list[ir.Value]) -> ir.Value:
    """The product of the tensors of a table."""
    result, *others = check_tensors(m, x)
    for other in others:
        result = elementwise(g, m, "Mul", [result, other])
    return result


@module("CDivTable", name="div", takes="table", may_overwrite=True, expects=[None, None])
def c_div_table(g: Builder, m: Module, x: list[ir.Value]) -> ir.Value:
    """The first tensor of a table divided by the second."""
    return elementwise(g, m, "Div", first_two_tensors(m, x))


@structure("CAddTensorTable", expects=[ANY, Repeated()])
def c_add_tensor_table(conversion: Conversion, m: Module, x: NestedTensors) -> NestedTensors:
    """{v, {a, b}} -> {a + v, b + v}, in new tensors at every run."""
    table = as_table(m, x)
    if len(table) < 2:
        raise m.error(FormatError, f"takes a table of two, not {len(table)}")
    vector, others = as_tensor(m, table[0]).read(), as_table(m, table[1])
    with conversion.layer(m, "add"):
        sums = [elementwise(conversion.graph, m, "Add", [vector, as_tensor(m, e).read()]) for e in others]
    return [ValueStorage(total) for total in sums]


@module("CMaxTable", name="max", takes="table", may_overwrite=True, expects=Repeated())
def c_max_table(g: Builder, m: Module, x: list[ir.Value]) -> ir.Value:
    """The largest of the tensors of a table at each place."""
    return elementwise(g, m, "Max", check_tensors(m, x))


@module("CMinTable", name="min", takes="table", may_overwrite=True, expects=Repeated())
def c_min_table(g: Builder, m: Module, x: list[ir.Value]) -> ir.Value:
    """The smallest of the tensors of a table at each place."""
    return elementwise(g, m, "Min", check_tensors(m, x))


def join(g: Builder, m: Module, parts: list[ir.Value], axis: int) -> ir.Value:
    """Tensors joined along an axis.

    Torch copies each tensor to its part of the result. Only the number of elements has to fit; the other
    sizes may differ.
    """
    if not 0 <= axis < min(len(dims(part)) for part in parts):
        raise m.error(FormatError, f"cannot join along dimension {axis + 1}: {shapes_text(parts)}")
    first = dims(parts[0])
    places = [(*first[:axis], dims(part)[axis], *first[axis + 1 :]) for part in parts]
    return g.concat([reshape_like(g, m, *pair) for pair in zip(parts, places, strict=True)], axis)


def shapes_text(parts: list[ir.Value]) -> str:
    """The shapes of tensors, for messages."""
    return ", ".join(shape_text(dims(part)) for part in parts)


@module("JoinTable", name="concat", takes="table", expects=Repeated())
def join_table(g: Builder, m: Module, x: list[ir.Value]) -> ir.Value:
    """Tensors joined along a dimension, not counting a batch dimension (nInputDims)."""
    parts = check_tensors(m, x)
    return join(g, m, parts, axis_behind_batch(m, parts[0]))


# No real net has longer tables.
MAX_ENTRIES = 10_000


def replace_entries(
    g: Builder, x: ir.Value, new: ir.Value, axis: int, start: int, stop: int, size: int
) -> ir.Value:
    """x with the entries start to stop of a dimension, which has this size, replaced by `new`."""
    before = [g.slice(x, axis, 0, start)] if start else []
    after = [g.slice(x, axis, stop, size)] if stop < size else []
    return g.concat([*before, new, *after], axis)


def split_views(conversion: Conversion, m: Module, x: TensorReference, axis: int) -> list[TensorReference]:
    """The entries of a dimension as views."""
    size = m.static_size(dims(x.read())[axis])
    if size > MAX_ENTRIES:
        raise m.unsupported(f"makes a table of {size:,} entries, more than {MAX_ENTRIES:,}")
    with conversion.layer(m, "split"):
        return [entry_view(conversion.graph, x, axis, k, size) for k in range(size)]


def entry_view(g: Builder, x: TensorReference, axis: int, index: int, size: int) -> TensorReference:
    """The entry at an index (from 0) of a dimension of this size, as a view."""

    def write_through(base: ir.Value, new: ir.Value) -> ir.Value:
        return replace_entries(g, base, g.unsqueeze(new, axis), axis, index, index + 1, size)

    entry = Entry(axis, dims(x.read()), index)
    return View(x, partial(take_entry, g, axis=axis, index=index), write_through, entry)


@structure("SplitTable", expects=None)
def split_table(conversion: Conversion, m: Module, x: NestedTensors) -> NestedTensors:
    """The entries of a dimension as a table; they share the storage of the input."""
    tensor = as_tensor(m, x)
    return [*split_views(conversion, m, tensor, axis_behind_batch(m, tensor.read()))]


def expected_by_select_table(m: Module, infer: object, successor: Expected) -> Expected:
    """A table of open length, in which the selected entry is what the successor expects."""
    index = m.integer("index")
    return Repeated(head=(*[ANY] * (index - 1), successor)) if 0 < index <= MAX_ENTRIES else Repeated()


@structure("SelectTable", expects=expected_by_select_table)
def select_table(conversion: Conversion, m: Module, x: NestedTensors) -> NestedTensors:
    """One entry of a table; of a tensor the entry of its first dimension, as a view."""
    index = m.integer("index")
    if isinstance(x, list):
        return table_entry(m, x, index)
    shape = dims(x.read())
    size = m.static_size(shape[0])
    if len(shape) < 2 or not 1 <= index <= size:
        raise m.error(FormatError, f"takes entry {index} of the first dimension of {shape_text(shape)}")
    with conversion.layer(m, "select"):
        return entry_view(conversion.graph, x, 0, index - 1, size)


@structure("NarrowTable", expects=Repeated())
def narrow_table(conversion: Conversion, m: Module, x: NestedTensors) -> NestedTensors:
    """Up to `length` entries of a table from `offset` on."""
    start = m.integer("offset", minimum=1) - 1
    return as_table(m, x)[start : start + m.integer("length", 1, minimum=1)]


@structure("ReverseTable", expects=Repeated())
def reverse_table(conversion: Conversion, m: Module, x: NestedTensors) -> NestedTensors:
    """The entries of a table from the last to the first (dpnn)."""
    return as_table(m, x)[::-1]


@structure("FlattenTable", expects=Repeated())
def flatten_table(conversion: Conversion, m: Module, x: NestedTensors) -> NestedTensors:
    """Nested tables as one, depth first."""
    return [*flatten(as_table(m, x))]


def expected_by_zip_table(shapes: Sequence[Shape]) -> Expected:
    """Tables of equally many tensors, one shape a table; four tensors of one shape are two tables of two."""
    runs = [len(list(run)) for _, run in itertools.groupby(shapes)]
    if len(runs) == 1 and runs[0] == 4:
        runs = [2, 2]
    if len(runs) < 2 or len(set(runs)) != 1:
        return None
    return [[ANY] * run for run in runs]


@structure("ZipTable", expects=ShapeDependent(expected_by_zip_table))
def zip_table(conversion: Conversion, m: Module, x: NestedTensors) -> NestedTensors:
    """{{a1, a2}, {b1, b2}} -> {{a1, b1}, {a2, b2}}."""
    rows = [as_table(m, row) for row in as_table(m, x)]
    if len({len(row) for row in rows}) != 1:
        raise m.error(FormatError, "takes tables of one length")
    return [list(column) for column in zip(*rows, strict=True)]


@structure("ZipTableOneToMany", expects=[ANY, Repeated()])
def zip_table_one_to_many(conversion: Conversion, m: Module, x: NestedTensors) -> NestedTensors:
    """{v, {a, b}} -> {{v, a}, {v, b}}."""
    table = as_table(m, x)
    if len(table) != 2:
        raise m.error(FormatError, f"takes a table of two, not {len(table)}")
    return [[table[0], one] for one in as_table(m, table[1])]


@structure("JustTable", expects=ANY)
def just_table(conversion: Conversion, m: Module, x: NestedTensors) -> NestedTensors:
    """A tensor as a table of one entry (nngraph)."""
    return x if isinstance(x, list) else [x]


@structure("JustElement", expects=lambda m, infer, successor: [successor])
def just_element(conversion: Conversion, m: Module, x: NestedTensors) -> NestedTensors:
    """The only entry of a table (nngraph)."""
    return table_entry(m, as_table(m, x), 1)


def expected_by_mixture_table(m: Module) -> Expected:
    """{gates, experts}; the experts are one tensor or, if the module last got one, a table."""
    several = m.flag("table")
    return ShapeDependent(
        lambda shapes: [None, [None] * (len(shapes) - 1) if several or len(shapes) > 2 else None]
    )


@module("MixtureTable", name="mixture", takes="table", expects=expected_by_mixture_table)
def mixture_table(g: Builder, m: Module, x: list[ir.Value | list[ir.Value]]) -> ir.Value:
    """The sum of experts (a table, or slices of a tensor along `dim`), each times its gate."""
    gates, experts = x if len(x) == 2 else (None, None)
    if not isinstance(gates, ir.Value) or experts is None:
        raise m.error(FormatError, "takes {gates, experts}")
    last = len(dims(gates)) - 1
    if isinstance(experts, ir.Value):
        axis = m.integer("dim", last + 1, minimum=1) - 1
        shape: list[Dim] = [1] * len(dims(experts))
        if last:
            shape[0] = dims(gates)[0]
        shape[axis] = dims(gates)[last]
        weighted = g.binary("Mul", experts, broadcastable_gate(g, m, gates, shape, experts))
        return reduce(g, "ReduceSum", weighted, axis)
    if len(experts) != dims(gates)[last]:
        raise m.error(FormatError, f"{len(experts)} experts arrive, but gates of {shape_text(dims(gates))}")
    products = []
    for k, expert in enumerate(check_tensors(m, experts)):
        gate = take_entry(g, gates, last, k)
        padding = [1] * (len(dims(expert)) - len(dims(gate)))
        products.append(
            g.binary("Mul", expert, broadcastable_gate(g, m, gate, [*dims(gate), *padding], expert))
        )
    return elementwise(g, m, "Sum" if len(products) > 2 else "Add", products)


def broadcastable_gate(
    g: Builder, m: Module, gate: ir.Value, shape: Sequence[Dim], expert: ir.Value
) -> ir.Value:
    """A gate in a shape that can be broadcast over an expert."""
    have = dims(expert)
    if len(shape) != len(have) or not all(
        size == 1 or may_be_equal(size, whole) for size, whole in zip(shape, have, strict=True)
    ):
        raise m.error(FormatError, f"gates of {shape_text(shape)} do not fit an expert of {shape_text(have)}")
    return g.reshape(gate, shape)
