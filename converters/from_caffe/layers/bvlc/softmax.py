"""Softmax."""

from __future__ import annotations

import onnx_ir as ir

from converters.from_caffe.bound_layer import BoundLayer
from converters.from_caffe.layers.registry import layer
from converters.graph import Graph
from converters.sizes import dims


@layer("Softmax", param="softmax_param")
def softmax(g: Graph, layer: BoundLayer, x: ir.Value) -> ir.Value:
    """exp(x) / sum(exp(x)) over one axis."""
    return g.node("Softmax", x, axis=layer.axis(layer.param.axis, len(dims(x))))
