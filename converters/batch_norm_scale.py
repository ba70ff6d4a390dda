"""Joins each BatchNorm with the Scale after it: Caffe has two layers for what is one operator elsewhere.

The result is one BatchNormalization with the name of the BatchNorm layer, the output of the Scale layer, and
the parameters of both under their own names. Rules:

1. The BatchNorm has neither scale nor bias of its own, and only the Scale reads its result.
2. The Scale multiplies each channel by a parameter; the sum with one parameter per channel may follow.
3. A parameter that another layer uses too stays as it is, and the two layers stay apart.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from converters.dropout import dropout_before
from converters.weights import is_weight, mark_weight


def join_batch_norm_and_scale(graph: ir.Graph) -> None:
    """Joins the layers in a graph that a reader has just made; computes the same up to rounding."""
    for node in [node for node in graph if node.op_type == "BatchNormalization"]:
        if any(is_weight(value) is not False for value in node.inputs[1:3] if value is not None):
            continue
        scaled = _step(node, "Mul")
        if scaled is None:
            continue
        shifted = _step(scaled[0], "Add")
        if shifted is not None and _layer(shifted[0]) != _layer(scaled[0]):
            shifted = None
        _join(graph, node, scaled, shifted)


Step = tuple[ir.Node, ir.Value]


def _step(node: ir.Node, op_type: str) -> Step | None:
    """The only reader of a node's result and its parameter, if it is such an operator of one per channel."""
    x = node.outputs[0]
    readers = list(x.consumers())
    if len(readers) != 1 or x.is_graph_output() or readers[0].op_type != op_type or x.shape is None:
        return None
    if dropout_before(readers[0]):
        return None
    (reader,) = readers
    others = [value for value in reader.inputs if value is not x]
    if len(others) != 1 or others[0] is None or others[0].const_value is None or not is_weight(others[0]):
        return None
    shape = tuple(others[0].const_value.shape)
    if len(list(others[0].uses())) != 1 or others[0].is_graph_output():
        return None
    padded = (1,) * (len(x.shape) - len(shape)) + shape
    fits = len(padded) == len(x.shape) and all(size == 1 for axis, size in enumerate(padded) if axis != 1)
    return (reader, others[0]) if fits and padded[1] == x.shape[1] else None


def _layer(node: ir.Node) -> str:
    return str(node.name).removesuffix(f"/{node.op_type}")


def _join(graph: ir.Graph, node: ir.Node, scaled: Step, shifted: Step | None) -> None:
    last = (shifted or scaled)[0]
    constants = [value for value in node.inputs[1:3] if value is not None]
    node.replace_input_with(1, _vector(graph, scaled[1]))
    if shifted is not None:
        node.replace_input_with(2, _vector(graph, shifted[1]))
    node.doc_string = f"{node.doc_string} with {last.doc_string}" if node.doc_string else last.doc_string
    old, new = last.outputs[0], node.outputs[0]
    name, old.name = old.name, None
    ir.convenience.replace_all_uses_with(old, new, replace_graph_outputs=True)
    for step in (shifted, scaled):
        if step is not None:
            graph.remove(step[0], safe=True)
    new.name = name
    for value in constants:
        if not value.uses() and not value.is_graph_output():
            graph.initializers.pop(str(value.name), None)


def _vector(graph: ir.Graph, parameter: ir.Value) -> ir.Value:
    """The parameter as a vector, in the same memory and under the same name."""
    assert parameter.const_value is not None
    array: np.ndarray = parameter.const_value.numpy().reshape(-1)
    name = str(parameter.name)
    del graph.initializers[name]
    value = ir.Value(name=name, const_value=ir.Tensor(array, name=name))
    value.shape, value.type = ir.Shape(array.shape), ir.TensorType(ir.DataType.FLOAT)
    value.meta.update(parameter.meta)
    mark_weight(value, True)
    graph.register_initializer(value)
    return value
