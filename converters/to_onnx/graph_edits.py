"""Small changes of a finished onnx_ir graph: new nodes, constants and attributes, with unique names."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from converters.graph import UniqueNames
from converters.weights import is_weight, mark_weight

_KEY = "graph_edits"
# Constants up to this size are shared by content: axes, sizes, bounds.
_MAX_SHARED_BYTES = 1024


def size(size: Any) -> int | None:  # noqa: ANN401 - int or SymbolicDim
    """A size as a number; None if it is symbolic."""
    return size if isinstance(size, int) else None


def sizes(value: ir.Value) -> list[int | None]:
    """The sizes of a value of known rank; None for those that are symbolic."""
    assert value.shape is not None
    return [size(known) for known in value.shape]


def ints(node: ir.Node, name: str) -> list[int]:
    """An attribute that is a list of integers; [] if the node has it not."""
    return list(node.attributes[name].as_ints()) if name in node.attributes else []


def set_ints(node: ir.Node, name: str, values: Sequence[int]) -> None:
    """Sets an attribute to a list of integers."""
    node.attributes[name] = ir.AttrInt64s(name, list(values))


def set_int(node: ir.Node, name: str, value: int) -> None:
    """Sets an attribute to an integer."""
    node.attributes[name] = ir.AttrInt64(name, value)


def insert(
    graph: ir.Graph,
    before: ir.Node,
    op_type: str,
    inputs: Sequence[ir.Value],
    shape: Sequence[int | None],
    *,
    replaces: int,
    **attributes: Any,  # noqa: ANN401
) -> ir.Node:
    """Inserts a node whose result replaces one input of the node `before`."""
    result = new_node(graph, before, op_type, inputs, shape, **attributes)
    before.replace_input_with(replaces, result)
    node = result.producer()
    assert node is not None
    return node


def append(graph: ir.Graph, node: ir.Node, op_type: str, *others: ir.Value) -> None:
    """Appends a node that takes the result of `node` and the others; its result replaces that of `node`."""
    old = node.outputs[0]
    shape = sizes(old)
    result = new_node(graph, node, op_type, [old, *others], shape, after=True)
    take_over(graph, old, result)


def take_over(graph: ir.Graph, old: ir.Value, new: ir.Value) -> None:
    """`new` gets the name and the readers of `old`, except the node that computes `new` from it."""
    name, old.name = old.name, new.name
    reader = new.producer()
    places = [use for use in old.uses() if use.node is reader]
    ir.convenience.replace_all_uses_with(old, new, replace_graph_outputs=True)
    for use in places:
        use.node.replace_input_with(use.idx, old)
    new.name, new.shape = name, old.shape


def replace(graph: ir.Graph, node: ir.Node, result: ir.Value) -> None:
    """Removes a node with one output, whose name and readers go to `result`."""
    take_over(graph, node.outputs[0], result)
    graph.remove(node, safe=True)


def new_node(
    graph: ir.Graph,
    beside: ir.Node,
    op_type: str,
    inputs: Sequence[ir.Value],
    shape: Sequence[int | None],
    *,
    after: bool = False,
    dtype: ir.DataType | None = None,
    **attributes: Any,  # noqa: ANN401
) -> ir.Value:
    """The result of a new node before (or after) the node `beside`, named after it."""
    name = _known(graph).names.unique(f"{beside.name}/{op_type}")
    node = ir.node(op_type, list(inputs), attributes, name=name, doc_string=beside.doc_string)
    node.outputs[0].name, node.outputs[0].shape = name, ir.Shape(shape)
    node.outputs[0].type = ir.TensorType(dtype) if dtype is not None else inputs[0].type
    if after:
        graph.insert_after(beside, node)
    else:
        graph.insert_before(beside, node)
    return node.outputs[0]


def constant(graph: ir.Graph, array: np.ndarray) -> ir.Value:
    """An initializer with this content; an equal constant of the net is used again."""
    known = _known(graph)
    key = _content(array)
    if key not in known.constants:
        name = f"constant_{known.constant_count}"
        while name in graph.initializers:
            known.constant_count += 1
            name = f"constant_{known.constant_count}"
        known.constants[key] = named_constant(graph, name, array)
    return known.constants[key]


def named_constant(graph: ir.Graph, name: str, array: np.ndarray) -> ir.Value:
    """An initializer of this name that is no weight of the net."""
    value = ir.Value(name=name, const_value=ir.Tensor(array, name=name))
    value.shape, value.type = ir.Shape(array.shape), ir.TensorType(ir.DataType.from_numpy(array.dtype))
    mark_weight(value, False)
    graph.register_initializer(value)
    _known(graph).names.add(name)
    return value


class _Known:
    """The names of a graph, and its small constants by content, so that no edit looks through all of it."""

    def __init__(self, graph: ir.Graph) -> None:
        names = [str(value.name) for node in graph for value in node.outputs]
        names += [str(node.name) for node in graph] + [str(value.name) for value in graph.inputs]
        self.names = UniqueNames([*names, *graph.initializers])
        self.constants: dict[tuple[str, tuple[int, ...], bytes], ir.Value] = {}
        self.constant_count = 0
        for value in graph.initializers.values():
            if value.const_value is not None and is_weight(value) is False:
                array = value.const_value.numpy()
                if array.nbytes <= _MAX_SHARED_BYTES:
                    self.constants.setdefault(_content(array), value)


def _content(array: np.ndarray) -> tuple[str, tuple[int, ...], bytes]:
    return array.dtype.str, array.shape, array.tobytes()


def _known(graph: ir.Graph) -> _Known:
    known: _Known = graph.meta.get(_KEY) or _Known(graph)
    return known


@contextlib.contextmanager
def editing(graph: ir.Graph) -> Iterator[None]:
    """Inside, the names of a graph are collected once, not again for each edit."""
    graph.meta[_KEY] = _Known(graph)
    try:
        yield
    finally:
        del graph.meta[_KEY]
