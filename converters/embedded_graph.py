"""New first nodes of a graph, each with one output: what `--embed-preprocessing full` writes them with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from converters.to_onnx.graph_edits import constant

INT32, INT64, FLOAT, DOUBLE = ir.DataType.INT32, ir.DataType.INT64, ir.DataType.FLOAT, ir.DataType.DOUBLE
# All nodes that prepare images have names that begin so.
PREFIX = "preprocessing"

Operand = ir.Value | int | float


class FirstNodes:
    """Nodes that are to be the first of a graph, in their order. Numbers become constants of their operand.

    Results of nodes have the element type of the first operand, unless `dtype` says otherwise.
    """

    def __init__(self, graph: ir.Graph) -> None:
        self.graph = graph
        self.nodes: list[ir.Node] = []

    def __call__(
        self,
        op_type: str,
        *inputs: Operand,
        dtype: ir.DataType | None = None,
        **attributes: int | Sequence[int],
    ) -> ir.Value:
        """Append a node; returns its result."""
        first = next(value for value in inputs if isinstance(value, ir.Value))
        like = inputs[1] if op_type == "Where" and isinstance(inputs[1], ir.Value) else first
        given = [
            value if isinstance(value, ir.Value) else self.number(value, _dtype(like)) for value in inputs
        ]
        name = f"{PREFIX}/{len(self.nodes)}/{op_type}"
        node = ir.node(op_type, given, attributes, name=name)
        node.outputs[0].name = name
        node.outputs[0].type = ir.TensorType(dtype or _dtype(like))
        self.nodes.append(node)
        return node.outputs[0]

    def number(self, value: float, dtype: ir.DataType) -> ir.Value:
        """A constant without axes."""
        return self.array(np.array(value, dtype.numpy()))

    def array(self, array: np.ndarray) -> ir.Value:
        """A constant."""
        return constant(self.graph, array)

    def integers(self, *values: int) -> ir.Value:
        """A constant of one axis, int64, as shapes and axes are."""
        return self.array(np.array(values, np.int64))

    def cast(self, value: Operand, dtype: ir.DataType) -> ir.Value:
        """The value in another element type."""
        if not isinstance(value, ir.Value):
            return self.number(value, dtype)
        return self("Cast", value, dtype=dtype, to=dtype.value)

    def vector(self, value: Operand) -> ir.Value:
        """A size, int64 without axes, as a vector of one."""
        if not isinstance(value, ir.Value):
            return self.integers(int(value))
        return self("Unsqueeze", value, self.integers(0))

    def clip(self, value: ir.Value, low: Operand, high: Operand) -> ir.Value:
        """The value, kept between two numbers; Min and Max take sizes that are computed, too."""
        return self("Max", self("Min", value, high), low)

    def insert_before(self, first: ir.Node) -> None:
        """Put the nodes into the graph."""
        self.graph.insert_before(first, self.nodes)


def _dtype(value: ir.Value) -> ir.DataType:
    assert value.dtype is not None
    return value.dtype


def shaped(value: ir.Value, shape: Sequence[int | str]) -> ir.Value:
    """The value, with its shape noted."""
    value.shape = ir.Shape(shape)
    return value
