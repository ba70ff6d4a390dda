"""Adds mean and scale as the first nodes of a net (`--embed-preprocessing`).

The input of the net is then the cropped image, in the channel order and range of its flavour (Caffe: BGR,
0..255; Torch7: RGB, 0..1). Decoding, resizing and cropping stay outside the net.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx_ir as ir

from converters.errors import UsageError


def add_preprocessing_nodes(model: ir.Model, preprocessing: Mapping[str, Any]) -> dict[str, Any]:
    """Adds the nodes to `model` and returns the preprocessing that remains outside.

    preprocessing: `mean`, `std` (one value, or one per channel) and `scale`: (x - mean) * scale / std.
    UsageError for a mean image, for a net with several inputs, or if there is nothing to embed.
    """
    inputs = [value for value in model.graph.inputs if value.name not in model.graph.initializers]
    if preprocessing.get("mean_file") or preprocessing.get("mean_image"):
        raise UsageError("--embed-preprocessing: a mean image cannot be embedded; only mean values can")
    if len(inputs) != 1:
        raise UsageError(
            f"--embed-preprocessing: the net has {len(inputs)} inputs; this is for nets with one image input"
        )
    steps = [
        ("Sub", preprocessing.get("mean"), 0.0),
        ("Mul", preprocessing.get("scale"), 1.0),
        ("Div", preprocessing.get("std"), 1.0),
    ]
    value = inputs[0]
    consumers = list(value.uses())
    nodes: list[ir.Node] = []
    for operator, operand, neutral in steps:
        array = _per_channel(value, operand)
        if array is None or np.all(array == neutral):
            continue
        nodes.append(_node(model.graph, operator, value, array, f"preprocessing/{operator.lower()}"))
        value = nodes[-1].outputs[0]
    if not nodes:
        raise UsageError(
            "--embed-preprocessing: neither the definition nor the catalog gives a mean or a scale"
        )
    for use in consumers:
        use.node.replace_input_with(use.idx, value)
    model.graph.insert_before(model.graph[0], nodes)
    return {**preprocessing, "mean": None, "std": None, "scale": 1.0}


def _per_channel(value: ir.Value, operand: Any) -> np.ndarray | None:  # noqa: ANN401
    if operand is None:
        return None
    array = np.asarray(operand, np.float32).reshape(-1)
    channels = value.shape[1] if value.shape is not None and len(value.shape) == 4 else None
    if channels is None or array.size not in (1, channels):
        raise UsageError(
            f"--embed-preprocessing: {array.size} values for the input shape {value.shape}; expected images "
            "N x C x H x W and one value per channel"
        )
    return array.reshape(-1, 1, 1)


def _node(graph: ir.Graph, operator: str, value: ir.Value, array: np.ndarray, name: str) -> ir.Node:
    constant = ir.Value(name=f"{name}.value", const_value=ir.Tensor(array, name=f"{name}.value"))
    constant.shape, constant.type = ir.Shape(array.shape), ir.TensorType(ir.DataType.FLOAT)
    graph.register_initializer(constant)
    node = ir.node(operator, [value, constant], name=name)
    node.outputs[0].name, node.outputs[0].shape, node.outputs[0].type = name, value.shape, value.type
    return node
