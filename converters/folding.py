"""Folds per-channel scaling after a convolution or matrix product into its weights (`--fold`).

Off by default: the folded net computes the same function, but rounds differently in the last bits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from converters.weights import mark_weight

# The axis of the output channels in the weight of each operator.
_OUTPUT_AXIS = {"Conv": 0, "ConvTranspose": 1, "Gemm": 0}


@dataclass(frozen=True)
class Affine:
    """y = x * scale + shift; both are float64 vectors of one value per channel, or of one value."""

    scale: np.ndarray
    shift: np.ndarray


def fold(model: ir.Model) -> int:
    """Folds BatchNormalization, Mul and Add of constants into the node before; returns the number folded."""
    folded = 0
    for node in list(model.graph):
        if node.op_type in _OUTPUT_AXIS and _foldable(node):
            folded += _fold_into(model.graph, node)
    for name in [name for name, value in model.graph.initializers.items() if not value.uses()]:
        if folded and not model.graph.initializers[name].is_graph_output():
            del model.graph.initializers[name]
    return folded


def _foldable(node: ir.Node) -> bool:
    attributes = node.attributes
    if node.op_type == "ConvTranspose" and "group" in attributes and attributes["group"].as_int() != 1:
        return False
    if node.op_type == "Gemm" and (
        attributes.get_int("transB", 0) != 1 or attributes.get_float("beta", 1.0) != 1
    ):
        return False
    arrays = [_array(value) for value in node.inputs[1:] if value is not None]
    return all(array is not None and array.dtype == np.float32 for array in arrays)


def _fold_into(graph: ir.Graph, node: ir.Node) -> int:
    count = 0
    while (step := _next_affine(node)) is not None:
        node = _replace(graph, node, *step)
        count += 1
    return count


def _next_affine(node: ir.Node) -> tuple[ir.Node, Affine] | None:
    """The only consumer of the node's output with its scale and shift, if it is affine per channel."""
    output = node.outputs[0]
    consumers = list(output.consumers())
    if len(consumers) != 1 or output.is_graph_output():
        return None
    follower = consumers[0]
    read = {"BatchNormalization": _batch_norm, "Mul": _multiplication, "Add": _addition}.get(follower.op_type)
    weight = _array(node.inputs[1])
    if read is None or weight is None or len(follower.outputs) != 1:
        return None
    channels = weight.shape[_OUTPUT_AXIS[node.op_type]]
    affine = read(follower, output, channels)
    return (follower, affine) if affine is not None else None


def _batch_norm(node: ir.Node, x: ir.Value, channels: int) -> Affine | None:
    arrays = [_array(value) for value in node.inputs[1:5]]
    if node.inputs[0] is not x or any(array is None for array in arrays):
        return None
    gamma, beta, mean, variance = (array.astype(np.float64) for array in arrays if array is not None)
    epsilon = node.attributes["epsilon"].as_float() if "epsilon" in node.attributes else 1e-5
    scale = gamma / np.sqrt(variance + epsilon)
    return Affine(scale, beta - mean * scale)


def _multiplication(node: ir.Node, x: ir.Value, channels: int) -> Affine | None:
    vector = _constant_per_channel(node, x, channels)
    return Affine(vector, np.zeros(1)) if vector is not None else None


def _addition(node: ir.Node, x: ir.Value, channels: int) -> Affine | None:
    vector = _constant_per_channel(node, x, channels)
    return Affine(np.ones(1), vector) if vector is not None else None


def _constant_per_channel(node: ir.Node, x: ir.Value, channels: int) -> np.ndarray | None:
    """The other operand of a binary node, if it is a constant with one value per channel or one value."""
    others = [value for value in node.inputs if value is not x]
    if len(others) != 1 or x.shape is None or (array := _array(others[0])) is None:
        return None
    shape = (1,) * (len(x.shape) - array.ndim) + array.shape
    if len(shape) != len(x.shape) or shape[0] != 1 or any(size != 1 for size in shape[2:]):
        return None
    return array.astype(np.float64).reshape(-1) if array.size in (1, channels) else None


def _replace(graph: ir.Graph, node: ir.Node, follower: ir.Node, affine: Affine) -> ir.Node:
    """Replaces two nodes by one with folded weights, the name of the first and the output of the second."""
    weight, bias = _array(node.inputs[1]), _array(node.inputs[2]) if len(node.inputs) > 2 else None
    assert weight is not None
    axis = _OUTPUT_AXIS[node.op_type]
    channel_shape = [1] * weight.ndim
    channel_shape[axis] = -1
    new_weight = (weight * affine.scale.reshape(channel_shape)).astype(np.float32)
    old_bias = np.zeros(weight.shape[axis]) if bias is None else bias.astype(np.float64)
    new_bias = (old_bias * affine.scale + affine.shift).astype(np.float32)
    parameters = [
        _initializer(graph, f"{node.name}.{name}", array)
        for name, array in (("folded_weight", new_weight), ("folded_bias", new_bias))
    ]
    replacement = ir.Node(
        node.domain,
        node.op_type,
        [node.inputs[0], *parameters],
        node.attributes.values(),
        num_outputs=1,
        name=node.name,
        doc_string=node.doc_string,
    )
    replacement.meta.update(node.meta)
    old, new = follower.outputs[0], replacement.outputs[0]
    new.name, new.shape, new.type = old.name, old.shape, old.type
    graph.insert_before(node, replacement)
    ir.convenience.replace_all_uses_with(old, new, replace_graph_outputs=True)
    graph.remove([follower, node], safe=True)
    return replacement


def _initializer(graph: ir.Graph, name: str, array: np.ndarray) -> ir.Value:
    graph.initializers.pop(name, None)
    value = ir.Value(name=name, const_value=ir.Tensor(array, name=name))
    value.shape, value.type = ir.Shape(array.shape), ir.TensorType(ir.DataType.FLOAT)
    mark_weight(value, True)
    graph.register_initializer(value)
    return value


def _array(value: ir.Value | None) -> np.ndarray | None:
    return value.const_value.numpy() if value is not None and value.const_value is not None else None
