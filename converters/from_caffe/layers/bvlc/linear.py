"""Layers that are a matrix product."""

from __future__ import annotations

import onnx_ir as ir

from converters.from_caffe import schema
from converters.from_caffe.bound_layer import BoundLayer, Parameter
from converters.from_caffe.fillers import declared_filler
from converters.from_caffe.layers.fused_relu import fused_relu
from converters.from_caffe.layers.parameters import stored_shapes, unit_rows
from converters.from_caffe.layers.registry import layer
from converters.graph import Graph
from converters.sizes import Dim, Shape, Symbol, dims, product


def _bottom_of_weight(param: schema.Message, shape: tuple[int, ...]) -> tuple[int, int] | None:
    """(inputs, 2): a matrix product flattens its bottom, so the stored weight tells only the product."""
    if len(shape) < 2:
        return None
    return (shape[-2] if param.transpose else shape[-1]), 2


@layer(
    "InnerProduct",
    param="inner_product_param",
    in_place=False,
    keeps_time=lambda p: p.axis not in (0, 1),
    bottom_of_blob=_bottom_of_weight,
)
def inner_product(g: Graph, layer: BoundLayer, x: ir.Value) -> ir.Value:
    """Everything from `axis` on, flattened, times the weight, plus the bias."""
    p = layer.param
    layer.check(not (p.normalize and p.transpose), "normalize is for weights that are not transposed")
    shape = dims(x)
    axis = layer.axis(p.axis, len(shape))
    layer.check(p.num_output > 0, "num_output must be positive")
    inputs = layer.static(_flattened(g, layer, shape[axis:]), f"the size of the axes from {axis} on")
    weight_shape = (inputs, p.num_output) if p.transpose else (p.num_output, inputs)
    wanted = [Parameter("weight", weight_shape, declared_filler(p, "weight_filler"))]
    if p.bias_term:
        wanted.append(Parameter("bias", (p.num_output,), p.bias_filler))
    weight, *bias = layer.parameters(*wanted)
    if p.normalize:
        weight = unit_rows(weight)
    parameters = [g.parameter(w.name, array) for w, array in zip(wanted, [weight, *bias], strict=True)]
    rows = product(shape[:axis])
    if len(shape) == 2 and axis == 1:
        flat = x
    elif axis == 1:
        flat = g.node("Flatten", x, shape=(rows, inputs), axis=1)
    else:
        flat = g.reshape(x, (rows, inputs))
    y = g.node("Gemm", flat, *parameters, shape=(rows, p.num_output), transB=None if p.transpose else 1)
    return fused_relu(g, layer, g.reshape(y, (*shape[:axis], p.num_output)))


def _flattened(g: Graph, layer: BoundLayer, sizes: Shape) -> Dim:
    """The number of inputs: the product of the sizes.

    Where one is symbolic and not the batch, it is that of the stored weight, if there is one.
    """
    spatial = any(isinstance(size, Symbol) and not size.batch for size in sizes)
    stored = stored_shapes(layer) if spatial else []
    bottom = _bottom_of_weight(layer.param, stored[0]) if stored else None
    return bottom[0] if bottom is not None else product(sizes)


@layer("Embed", param="embed_param", in_place=False, keeps_time=True)
def embed(g: Graph, layer: BoundLayer, index: ir.Value) -> ir.Value:
    """A row of the weight for each index (given as floats), plus the bias."""
    p = layer.param
    layer.check(p.num_output > 0, "num_output must be positive")
    layer.check(p.input_dim > 0, "input_dim must be positive")
    wanted = [Parameter("weight", (p.input_dim, p.num_output), declared_filler(p, "weight_filler"))]
    if p.bias_term:
        wanted.append(Parameter("bias", (p.num_output,), p.bias_filler))
    weight, *bias = layer.parameters(*wanted)
    rows = g.cast(index, ir.DataType.INT64)
    shape = (*dims(index), p.num_output)
    y = g.node("Gather", g.parameter("weight", weight), rows, shape=shape, dtype=ir.DataType.FLOAT, axis=0)
    return g.node("Add", y, g.parameter("bias", bias[0])) if bias else y
