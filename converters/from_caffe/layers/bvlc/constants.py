"""Layers without bottoms: constants and learned blobs."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from converters.from_caffe import fillers
from converters.from_caffe.bound_layer import BoundLayer, Parameter
from converters.from_caffe.inputs import dummy_data_shapes
from converters.from_caffe.layers.registry import layer
from converters.graph import Graph


@layer("DummyData", param="dummy_data_param", in_place=False, tops=(1, None), keeps_labels=True)
def dummy_data(g: Graph, layer: BoundLayer) -> list[ir.Value]:
    """Constant blobs, one for each top; a random filler is not converted."""
    given = list(layer.param.data_filler) or [fillers.constant_filler(0)]
    layer.check(len(given) in (1, layer.top_count), f"{len(given)} fillers for {layer.top_count} tops")
    tops = []
    for k, shape in enumerate(dummy_data_shapes(layer.message)):
        filler = given[k if len(given) > 1 else 0]
        values = fillers.fill(filler, shape)
        if values is None:
            raise layer.unsupported(f"its filler {filler.type!r} is random; give it as an input instead")
        tops.append(g.parameter("data", np.asarray(values)))
    return tops


@layer("Parameter", param="parameter_param", in_place=False)
def parameter(g: Graph, layer: BoundLayer) -> ir.Value:
    """A learned blob as a top."""
    (values,) = layer.parameters(Parameter("parameter", tuple(layer.param.shape.dim)))
    return g.parameter("parameter", values)
