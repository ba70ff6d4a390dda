"""The Lstm of forks for text recognition: one layer over whole sequences, without a continuation blob."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from converters.from_caffe.bind import BoundLayer, Parameter
from converters.from_caffe.fillers import declared
from converters.from_caffe.layers.table import layer
from converters.graph import Graph, dims, product, shape_text


@layer("Lstm", param="lstm_param", in_place=False)
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
        Parameter("weight_x", (4 * size, inputs), declared(p, "weight_filler")),
        Parameter("weight_h", (4 * size, size), declared(p, "weight_filler")),
        Parameter("bias", (4 * size,), p.bias_filler),
    ]
    weight_x, weight_h, bias = (
        g.parameter(w.name, values) for w, values in zip(wanted, layer.parameters(*wanted), strict=True)
    )
    items = shape[1]
    rows = g.reshape(x, (product((steps, items)), inputs))
    by_input = g.node("Gemm", rows, weight_x, bias, shape=(dims(rows)[0], 4 * size), transB=1)
    gates = g.reshape(by_input, (steps, items, 4 * size))
    each = (
        [gates]
        if steps == 1
        else g.nodes("Split", gates, np.ones(steps, np.int64), shapes=[(1, items, 4 * size)] * steps, axis=0)
    )
    hidden: list[ir.Value] = []
    cell: ir.Value | None = None
    for step in each:
        gate = g.reshape(step, (items, 4 * size))
        if hidden:
            gate = g.node("Gemm", hidden[-1], weight_h, gate, shape=(items, 4 * size), transB=1)
        cell, output = _step(g, gate, cell, size)
        hidden.append(output)
    stacked = [g.reshape(h, (1, items, size)) for h in hidden]
    return stacked[0] if steps == 1 else g.node("Concat", *stacked, shape=(steps, items, size), axis=0)


def _step(g: Graph, gates: ir.Value, cell: ir.Value | None, size: int) -> tuple[ir.Value, ir.Value]:
    """(new cell, hidden) from the gates (N, 4 * size) and the cell before, None standing for zeros."""
    shape = (dims(gates)[0], size)
    i, f, o, candidate = g.nodes("Split", gates, np.full(4, size, np.int64), shapes=[shape] * 4, axis=1)
    added = g.node("Mul", g.node("Sigmoid", i), g.node("Tanh", candidate))
    if cell is not None:
        added = g.node("Add", g.node("Mul", g.node("Sigmoid", f), cell), added)
    return added, g.node("Mul", g.node("Sigmoid", o), g.node("Tanh", added))
