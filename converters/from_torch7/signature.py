"""The inputs of a net: what its modules expect, and what the caller says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import onnx_ir as ir

from converters.errors import StaticSizeRequired, UsageError
from converters.from_torch7.backward_shape_inference import (
    ANY,
    Expected,
    Repeated,
    is_table,
    match,
    tensor_count,
)
from converters.from_torch7.conversion import Conversion
from converters.from_torch7.module import Module
from converters.from_torch7.objects import Table, Tensor, TorchObject
from converters.options import Options
from converters.sizes import Dim, Shape, Symbol, shape_text

# Names of sizes that a net leaves open, by the rank of the input: batch, channels, time, ...
_SIZE_NAMES = {1: "N", 2: "NF", 3: "NTF", 4: "NCHW", 5: "NCTHW"}
_EXAMPLE_SIZES = {"N": "N", "C": "3"}

# Operators that move the elements of their first input and do not change them.
_REARRANGING = {"Reshape", "Slice", "Squeeze", "Unsqueeze", "Transpose", "Gather", "Identity", "Expand"}
_TYPES = {
    "torch.ByteTensor": ir.DataType.UINT8,
    "torch.CharTensor": ir.DataType.INT8,
    "torch.ShortTensor": ir.DataType.INT16,
    "torch.IntTensor": ir.DataType.INT32,
    "torch.LongTensor": ir.DataType.INT64,
    "torch.DoubleTensor": ir.DataType.DOUBLE,
}
# The type of an input, by the only type that it is cast to.
_INPUT_TYPES: dict[int | None, ir.DataType] = {
    ir.DataType.INT64.value: ir.DataType.INT64,
    ir.DataType.BOOL.value: ir.DataType.UINT8,
}


@dataclass(frozen=True)
class Signature:
    """The inputs of a net.

    shapes: by name, depth first. nesting: how the inputs form a table, if the net takes one.
    inferred: the shapes that the caller did not give, as text.
    """

    shapes: dict[str, Shape]
    nesting: Expected
    inferred: str

    def shape_options(self) -> str:
        """The command line options that fix every open size."""
        open_shapes = {
            name: shape for name, shape in self.shapes.items() if any(isinstance(s, Symbol) for s in shape)
        }
        return " ".join(f"--input-shape {name}={_example(shape)}" for name, shape in open_shapes.items())

    def table_text(self) -> str:
        """The table that the inputs form: {input_0, {input_1, input_2}}."""
        names = iter(self.shapes)

        def written(nesting: Expected) -> str:
            if isinstance(nesting, list):
                return "{" + ", ".join(map(written, nesting)) + "}"
            return next(names)

        return written(self.nesting)


def infer_signature(conversion: Conversion, root: Module, options: Options) -> Signature:
    """The inputs of a net.

    A shape that the caller gives is not questioned; the others are inferred from the modules. UsageError for
    a name that is no input of the net, StaticSizeRequired for an input whose shape is unknown.
    """
    expected = _infer_expected(conversion, root)
    given = {name: _given_shape(shape) for name, shape in options.input_shapes.items()}
    nesting = _fixed_nesting(expected, given)
    names = _input_names(tensor_count(nesting) or 0, is_table(nesting) and "input" not in given)
    if unknown := sorted(given.keys() - set(names)):
        raise UsageError(f"the net has no input called {unknown[0]!r}; its inputs are {', '.join(names)}")
    shapes = {
        name: given[name] if name in given else _inferred_shape(name, shape, options.static_batch)
        for name, shape in zip(names, _leaves(nesting), strict=True)
    }
    inferred = ", ".join(f"{name}={shape_text(shapes[name])}" for name in names if name not in given)
    return Signature(shapes, nesting, inferred)


def _input_names(number: int, table: bool) -> list[str]:
    return [f"input_{k}" for k in range(number)] if number > 1 or table else ["input"]


def _fixed_nesting(expected: Expected, given: Mapping[str, Shape]) -> Expected:
    """The nesting for as many tensors as the caller gives shapes for, or else as the net expects."""
    wanted = tensor_count(expected)
    if wanted is not None and len(given) <= wanted:
        return expected
    if not given:
        raise StaticSizeRequired(
            "the net takes a table of any number of tensors; say how many there are by giving their shapes, "
            "such as --input-shape input_0=N,10 --input-shape input_1=N,10"
        )
    # A module that expects a tensor may take a table too; it is then a table of tensors.
    matching = match(expected if is_table(expected) else Repeated(), list(given.values()))
    if matching is None and set(given) == {"input"}:
        return ANY  # some classes that take a table, such as SelectTable, take a tensor too
    if matching is None:
        raise UsageError(
            f"{len(given)} input shapes were given, but the net takes no table of that many tensors"
        )
    return matching


def _leaves(nesting: Expected) -> list[Expected]:
    return [leaf for part in nesting for leaf in _leaves(part)] if isinstance(nesting, list) else [nesting]


def input_type(root: Module) -> ir.DataType:
    """The element type that a net takes: that of its weights, or what a Copy as its first module converts."""
    first = _first_leaf(root.torch_object)
    gradient = first.fields.fields.get("gradInput")
    if first.class_name == "nn.Copy" and isinstance(gradient, Tensor):
        return _TYPES.get(gradient.class_name, ir.DataType.FLOAT)
    return output_type(root)


def _first_leaf(item: TorchObject) -> TorchObject:
    """The first module that runs: the first inside the first inside ..., to one that has none inside."""
    seen = {item}
    while isinstance(inside := item.fields.fields.get("modules"), Table):
        first = inside.numbered.get(1)
        if not isinstance(first, TorchObject) or first in seen:
            break
        seen.add(first)
        item = first
    return item


def output_type(root: Module) -> ir.DataType:
    """The element type that a net gives: double if its weights are doubles, else float32."""
    element_type = next(iter(_tensor_types(root)), "")
    return ir.DataType.DOUBLE if element_type == "torch.DoubleTensor" else ir.DataType.FLOAT


def type_integer_inputs(graph: ir.Graph) -> None:
    """Make the inputs that serve only as indices int64, and those that serve only as masks uint8.

    Torch takes indices as tensors of any number type, so the modules that use them add a cast. An input that
    ends only in such casts is declared in the type that it is cast to.
    """
    for value in graph.inputs:
        rearranged, casts = _casts(value)
        dtype = _INPUT_TYPES.get(next(iter(casts))) if len(casts) == 1 else None
        if dtype is not None:
            for known in rearranged:
                known.type = ir.TensorType(dtype)


def _casts(value: ir.Value) -> tuple[list[ir.Value], set[int | None]]:
    """An input and its mere rearrangements, and the types that these are cast to (None: another use)."""
    rearranged: list[ir.Value] = [value]
    casts: set[int | None] = set()
    for known in rearranged:
        for node, index in known.uses():
            if node.op_type == "Cast":
                casts.add(node.attributes["to"].as_int())
            elif node.op_type in _REARRANGING and index == 0:
                rearranged += node.outputs
            else:
                casts.add(None)
    return rearranged, casts


def _tensor_types(m: Module) -> Iterator[str]:
    """The tensor types named in a module and in those inside it, outermost first."""
    stack = [m.torch_object]
    seen = set()
    while stack:
        item = stack.pop()
        if item in seen:
            continue
        seen.add(item)
        fields = item.fields.fields
        if isinstance(fields.get("_type"), str):
            yield fields["_type"]
        if isinstance(fields.get("weight"), Tensor):
            yield fields["weight"].class_name
        inside = fields.get("modules")
        children = inside.sequence() if isinstance(inside, Table) else []
        stack += [child for child in reversed(children) if isinstance(child, TorchObject)]


def _infer_expected(conversion: Conversion, root: Module) -> Expected:
    def infer(m: Module, successor: Expected) -> Expected:
        with conversion.visit(m) as module_class:
            return module_class.expected(m, infer, successor)

    return infer(root, ANY)


def _given_shape(shape: tuple[Any, ...]) -> Shape:
    return tuple(size if isinstance(size, int) else Symbol(size) for size in shape)


def _inferred_shape(name: str, shape: Expected, static_batch: int | None) -> Shape:
    if not isinstance(shape, tuple) or not shape or len(shape) not in _SIZE_NAMES:
        raise StaticSizeRequired(
            f"the net does not say what shape its input {name!r} has; give it, "
            f"such as --input-shape {name}=N,3,224,224"
        )
    named = zip(shape, _SIZE_NAMES[len(shape)], strict=True)
    sizes: list[Dim] = [Symbol(letter) if size is None else size for size, letter in named]
    if static_batch is not None:
        sizes = [static_batch if size == Symbol("N") else size for size in sizes]
    return tuple(sizes)


def _example(shape: Shape) -> str:
    return ",".join(_EXAMPLE_SIZES.get(str(s), "224") if isinstance(s, Symbol) else str(s) for s in shape)
