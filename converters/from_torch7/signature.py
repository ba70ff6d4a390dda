"""What a net takes as input: what its modules imply, and what the caller says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import onnx_ir as ir

from converters.errors import StaticSizeRequired, UsageError
from converters.from_torch7.expectation import PASS, Expected, Many, arranged, count, is_table
from converters.from_torch7.module import Module
from converters.from_torch7.net import Net
from converters.from_torch7.objects import Table, Tensor, TorchObject
from converters.graph import Dim, Shape, Symbol, shape_text
from converters.options import Options

# How sizes that a net leaves open are called, by the rank of the input: batch, channels, time, ...
_SIZE_NAMES = {1: "N", 2: "NF", 3: "NTF", 4: "NCHW", 5: "NCTHW"}
_EXAMPLE_SIZES = {"N": "N", "C": "3"}

# Operators that hand on their first input's elements as they are.
_REARRANGING = {"Reshape", "Slice", "Squeeze", "Unsqueeze", "Transpose", "Gather", "Identity", "Expand"}
_TYPES = {
    "torch.ByteTensor": ir.DataType.UINT8,
    "torch.CharTensor": ir.DataType.INT8,
    "torch.ShortTensor": ir.DataType.INT16,
    "torch.IntTensor": ir.DataType.INT32,
    "torch.LongTensor": ir.DataType.INT64,
    "torch.DoubleTensor": ir.DataType.DOUBLE,
}
# What an input is declared as if it is cast to this only.
_INPUT_TYPES: dict[int | None, ir.DataType] = {
    ir.DataType.INT64.value: ir.DataType.INT64,
    ir.DataType.BOOL.value: ir.DataType.UINT8,
}


@dataclass(frozen=True)
class Signature:
    """The inputs of a net.

    shapes: by name, in the order of a depth-first walk. nesting: how they form a table, if it is one.
    implied: those that the caller did not give, as text.
    """

    shapes: dict[str, Shape]
    nesting: Expected
    implied: str

    def advice(self) -> str:
        """The options that fix every size that is open."""
        open_shapes = {
            name: shape for name, shape in self.shapes.items() if any(isinstance(s, Symbol) for s in shape)
        }
        return " ".join(f"--input-shape {name}={_example(shape)}" for name, shape in open_shapes.items())

    def text(self) -> str:
        """The table that the inputs form: {input_0, {input_1, input_2}}."""
        names = iter(self.shapes)

        def written(nesting: Expected) -> str:
            if isinstance(nesting, list):
                return "{" + ", ".join(map(written, nesting)) + "}"
            return next(names)

        return written(self.nesting)


def signature(net: Net, root: Module, options: Options) -> Signature:
    """The inputs of a net.

    A shape the caller gives is taken as it is; the others are what the modules imply. UsageError for a name
    that the net does not have, StaticSizeRequired for an input whose shape nothing implies.
    """
    expected = _expected(net, root)
    given = {name: _given(shape) for name, shape in options.input_shapes.items()}
    nesting = _nesting(expected, given)
    names = _names(count(nesting) or 0, is_table(nesting) and "input" not in given)
    if unknown := sorted(given.keys() - set(names)):
        raise UsageError(f"the net has no input called {unknown[0]!r}; its inputs are {', '.join(names)}")
    shapes = {
        name: given[name] if name in given else _implied(name, shape, options.static_batch)
        for name, shape in zip(names, _leaves(nesting), strict=True)
    }
    implied = ", ".join(f"{name}={shape_text(shapes[name])}" for name in names if name not in given)
    return Signature(shapes, nesting, implied)


def _names(number: int, table: bool) -> list[str]:
    return [f"input_{k}" for k in range(number)] if number > 1 or table else ["input"]


def _nesting(expected: Expected, given: Mapping[str, Shape]) -> Expected:
    """A fixed nesting for as many tensors as are given, or as the net wants."""
    wanted = count(expected)
    if wanted is not None and len(given) <= wanted:
        return expected
    if not given:
        raise StaticSizeRequired(
            "the net takes a table of any number of tensors; say how many there are by giving their shapes, "
            "such as --input-shape input_0=N,10 --input-shape input_1=N,10"
        )
    # A module that wants a tensor may take a table too: then it is one of tensors.
    fitting = arranged(expected if is_table(expected) else Many(), list(given.values()))
    if fitting is None:
        raise UsageError(
            f"{len(given)} input shapes were given, which do not make a table of the kind that the net takes"
        )
    return fitting


def _leaves(nesting: Expected) -> list[Expected]:
    return [leaf for part in nesting for leaf in _leaves(part)] if isinstance(nesting, list) else [nesting]


def input_type(root: Module) -> ir.DataType:
    """The element type a net takes: the one it was kept in, or that a Copy in front of it converts from."""
    first = _innermost_first(root.item)
    gradient = first.fields.fields.get("gradInput")
    if first.class_name == "nn.Copy" and isinstance(gradient, Tensor):
        return _TYPES.get(gradient.class_name, ir.DataType.FLOAT)
    return output_type(root)


def _innermost_first(item: TorchObject) -> TorchObject:
    """The first module of the first module of ..., which has none inside."""
    seen = {item}
    while isinstance(inside := item.fields.fields.get("modules"), Table):
        first = inside.numbered.get(1)
        if not isinstance(first, TorchObject) or first in seen:
            break
        seen.add(first)
        item = first
    return item


def output_type(root: Module) -> ir.DataType:
    """The element type a net gives: double where it was kept in double precision, else float32."""
    kept = next(iter(_types(root)), "")
    return ir.DataType.DOUBLE if kept == "torch.DoubleTensor" else ir.DataType.FLOAT


def settle_integer_inputs(graph: ir.Graph) -> None:
    """Inputs that serve as indices or masks only become int64 or uint8.

    Torch takes indices as tensors of any number type, so the modules that use them cast; an input that goes
    nowhere else says what it is.
    """
    for value in graph.inputs:
        passed, casts = _casts(value)
        dtype = _INPUT_TYPES.get(next(iter(casts))) if len(casts) == 1 else None
        if dtype is not None:
            for known in passed:
                known.type = ir.TensorType(dtype)


def _casts(value: ir.Value) -> tuple[list[ir.Value], set[int | None]]:
    """The values that only rearrange an input, and what they are cast to in the end (None: other use)."""
    passed: list[ir.Value] = [value]
    casts: set[int | None] = set()
    for known in passed:
        for node, index in known.uses():
            if node.op_type == "Cast":
                casts.add(node.attributes["to"].as_int())
            elif node.op_type in _REARRANGING and index == 0:
                passed += node.outputs
            else:
                casts.add(None)
    return passed, casts


def _types(m: Module) -> Iterator[str]:
    """The tensor types that a module and those inside it name, outermost first."""
    stack = [m.item]
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


def _expected(net: Net, root: Module) -> Expected:
    def ask(m: Module, after: Expected) -> Expected:
        with net.inside(m) as entry:
            return entry.expected(m, ask, after)

    return ask(root, PASS)


def _given(shape: tuple[Any, ...]) -> Shape:
    return tuple(size if isinstance(size, int) else Symbol(size) for size in shape)


def _implied(name: str, shape: Expected, static_batch: int | None) -> Shape:
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
