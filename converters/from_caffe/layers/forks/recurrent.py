"""The Lstm of forks for text recognition: one layer over whole sequences, without a continuation blob."""

from __future__ import annotations

import onnx_ir as ir

from converters.from_caffe.bound_layer import BoundLayer, Parameter
from converters.from_caffe.fillers import declared_filler
from converters.from_caffe.layers.bvlc.recurrent import lstm_step, matrix_product, split_steps, stack_steps
from converters.from_caffe.layers.registry import layer
from converters.graph import Graph, dims, product, shape_text


@layer("Lstm", param="lstm_param", fork_field_numbers=(210, 8266711), in_place=False, time_major_bottoms=1)
def lstm(g: Graph, layer: BoundLayer, x: ir.Value) -> ir.Value:
    """(T, N, ...) to (T, N, num_output): gates as input, forget, output, candidate; state from zero.

    Three blobs: the weights of the input, of the state, and the bias. clipping_threshold bounds gradients.
    """
    p, shape = layer.param, dims(x)
    layer.check(p.num_output > 0, "num_output must be positive")
    if p.HasField("batch_size") or len(shape) < 3:
        raise layer.unsupported(
            f"needs time and item as two axes, the bottom is {shape_text(shape)}; forks that fold them "
            "into one (batch_size) differ in the order"
        )
    size = p.num_output
    steps = layer.static(shape[0], "the number of steps")
    inputs = layer.static(product(shape[2:]), "the size of a step")
    wanted = [
        Parameter("weight_x", (4 * size, inputs), declared_filler(p, "weight_filler")),
        Parameter("weight_h", (4 * size, size), declared_filler(p, "weight_filler")),
        Parameter("bias", (4 * size,), p.bias_filler),
    ]
    weight_x, weight_h, bias = (
        g.parameter(w.name, values) for w, values in zip(wanted, layer.parameters(*wanted), strict=True)
    )
    items = shape[1]
    rows = g.reshape(x, (product((steps, items)), inputs))
    hidden: list[ir.Value] = []
    cell: ir.Value | None = None
    for gates in split_steps(g, matrix_product(g, rows, weight_x, bias), steps, items):
        if hidden:
            gates = matrix_product(g, hidden[-1], weight_h, gates)
        cell, output = lstm_step(g, gates, cell)
        hidden.append(output)
    return stack_steps(g, hidden)
