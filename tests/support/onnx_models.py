"""ONNX models of a few nodes."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

FLOAT, INT64 = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64


def node(op_type, inputs, output, **attributes) -> onnx.NodeProto:
    """A node with one output, named like it."""
    return helper.make_node(op_type, inputs, [output], name=output, **attributes)


def model_of(nodes, constants, inputs, outputs, *, infer=True) -> onnx.ModelProto:
    """A model of these nodes. inputs: shapes by name, float32 unless given as (element type, shape)."""
    typed = {name: what if isinstance(what, tuple) else (FLOAT, what) for name, what in inputs.items()}
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info(name, *what) for name, what in typed.items()],
        [onnx.ValueInfoProto(name=name) for name in outputs],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    return onnx.shape_inference.infer_shapes(model, data_prop=True) if infer else model


def net(nodes, inputs, outputs, constants=None, *, infer=True) -> onnx.ModelProto:
    """`model_of` with nodes given as (operator, inputs, output, attributes)."""
    made = [node(op, names, out, **attributes) for op, names, out, attributes in nodes]
    return model_of(made, constants or {}, inputs, outputs, infer=infer)
