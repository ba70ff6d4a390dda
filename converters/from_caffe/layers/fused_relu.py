"""The ReLU that Intel's fork moves into the layer before it."""

from __future__ import annotations

import onnx_ir as ir

from converters.from_caffe.bound_layer import BoundLayer
from converters.graph import Graph


def fused_relu(g: Graph, layer: BoundLayer, y: ir.Value) -> ir.Value:
    """The ReLU of y where the layer's parameters ask for it (`relu: true`), else y.

    Its slope is in these parameters too or, in earlier versions of the fork, in a relu_param of the layer.
    """
    if not layer.param.relu:
        return y
    slope = layer.param.negative_slope or layer.message.relu_param.negative_slope
    return g.node("LeakyRelu", y, alpha=slope) if slope else g.node("Relu", y)
