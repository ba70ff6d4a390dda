"""Layers without bottoms: inputs, constants and learned blobs."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from converters.from_caffe import fillers
from converters.from_caffe.bind import BoundLayer, Parameter
from converters.from_caffe.layers.table import layer
from converters.graph import Graph


@layer("DummyData", param="dummy_data_param", in_place=False, tops=(1, None))
def dummy_data(g: Graph, layer: BoundLayer) -> list[ir.Value]:
    """Constant blobs, one a top; random fillers cannot be carried over."""
    p, count = layer.param, layer.top_count
    legacy = [p.num, p.channels, p.height, p.width]
    shapes = [tuple(shape.dim) for shape in p.shape] or [
        tuple(sizes) for sizes in zip(*(list(part) for part in legacy), strict=True)
    ]
    layer.check(len(shapes) in (1, count), f"{len(shapes)} shapes for {count} tops")
    given = list(p.data_filler) or [fillers.constant(0)]
    layer.check(len(given) in (1, count), f"{len(given)} fillers for {count} tops")
    tops = []
    for k in range(count):
        filler = given[k if len(given) > 1 else 0]
        values = fillers.fill(filler, shapes[k if len(shapes) > 1 else 0])
        if values is None:
            raise layer.unsupported(f"its filler {filler.type!r} is random; give it as an input instead")
        tops.append(g.parameter("data", np.asarray(values)))
    return tops


@layer("Parameter", param="parameter_param", in_place=False)
def parameter(g: Graph, layer: BoundLayer) -> ir.Value:
    """A learned blob as a top."""
    (values,) = layer.parameters(Parameter("parameter", tuple(layer.param.shape.dim)))
    return g.parameter("parameter", values)
