"""The Lstm of forks for text recognition: one layer over whole sequences."""

from __future__ import annotations

import onnx_ir as ir

from converters.from_caffe.bound_layer import BoundLayer, Parameter
from converters.from_caffe.fillers import declared_filler
from converters.from_caffe.layers.bvlc.recurrent import (
    MAX_STEPS,
    lstm_step,
    matrix_product,
    split_steps,
    stack_steps,
)
from converters.from_caffe.layers.registry import layer
from converters.graph import Graph, scalar
from converters.sizes import Dim, dims, product, shape_text


@layer(
    "Lstm",
    param="lstm_param",
    fork_field_numbers=(148, 201, 210, 8266711),
    in_place=False,
    time_major_bottoms=1,
)
def lstm(g: Graph, layer: BoundLayer, x: ir.Value, markers: ir.Value | None = None) -> ir.Value:
    """(T, N, ...) to (T, N, num_output): gates as input, forget, output, candidate; state from zero.

    junhyukoh's fork takes (T * N, I), with row t * N + n for step t of item n, where N is batch_size, and
    markers (T,): a new sequence begins at a 0. Three blobs: the weights of the input, of the state, and the
    bias. clipping_threshold bounds gradients.
    """
    size, shape = layer.param.num_output, dims(x)
    layer.check(size > 0, "num_output must be positive")
    folded = len(shape) == 2
    steps, items = _folded_axes(layer, x, markers) if folded else _axes(layer, x, markers)
    if steps > MAX_STEPS:
        raise layer.unsupported(f"{steps:,} steps would be unrolled; the most is {MAX_STEPS:,}")
    inputs = layer.static(product(shape[1 if folded else 2 :]), "the size of a step")
    weight_x, weight_h, bias = _parameters(g, layer, inputs)
    rows = g.reshape(x, (product((steps, items)), inputs))
    by_step = split_steps(g, matrix_product(g, rows, weight_x, bias), steps, items)
    keeps = _keeps(g, markers, steps) if markers is not None else [None] * steps
    hidden: list[ir.Value] = []
    cell: ir.Value | None = None
    for gates, keep in zip(by_step, keeps, strict=True):
        if hidden:
            state = hidden[-1] if keep is None else g.node("Mul", hidden[-1], keep)
            gates = matrix_product(g, state, weight_h, gates)
        cell, output = lstm_step(g, gates, cell, keep)
        hidden.append(output)
    top = stack_steps(g, hidden)
    return g.reshape(top, (product((steps, items)), size)) if folded else top


def _axes(layer: BoundLayer, x: ir.Value, markers: ir.Value | None) -> tuple[int, Dim]:
    """(steps, items) of a bottom (T, N, ...)."""
    if layer.param.HasField("batch_size") or markers is not None or len(dims(x)) < 3:
        raise layer.unsupported(
            f"with batch_size or markers its bottom must be (steps * items, inputs), it is "
            f"{shape_text(dims(x))}: forks read more axes differently"
        )
    return layer.static(dims(x)[0], "the number of steps"), dims(x)[1]


def _folded_axes(layer: BoundLayer, x: ir.Value, markers: ir.Value | None) -> tuple[int, int]:
    """(steps, items) of a bottom (T * N, I)."""
    rows = layer.static(dims(x)[0], "the number of steps")
    items = layer.param.batch_size
    layer.check(
        items > 0 and rows % items == 0, f"batch_size {items} must be positive and divide the {rows} rows"
    )
    if markers is None:
        if items > 1:
            layer.note(
                f"with batch_size {items} each item has a state of its own, as in the GPU code of its fork; "
                "the CPU code adds the state of item 0 to all"
            )
        return rows // items, items
    if items > 1:
        raise layer.unsupported("with markers and a batch_size above 1, its fork mixes up the items")
    layer.check(
        dims(markers)[:1] == (rows,) and product(dims(markers)) == rows,
        f"the markers must be {rows}, one for each step; they are {shape_text(dims(markers))}",
    )
    layer.note(
        "its first step starts from a state of zeros; in Caffe, a marker other than 0 there continues the "
        "sequence of the run before"
    )
    return rows, 1


def _parameters(g: Graph, layer: BoundLayer, inputs: int) -> list[ir.Value]:
    p, size = layer.param, layer.param.num_output
    wanted = [
        Parameter("weight_x", (4 * size, inputs), declared_filler(p, "weight_filler")),
        Parameter("weight_h", (4 * size, size), declared_filler(p, "weight_filler")),
        Parameter("bias", (4 * size,), p.bias_filler),
    ]
    arrays = layer.parameters(*wanted)
    return [g.parameter(w.name, values) for w, values in zip(wanted, arrays, strict=True)]


def _keeps(g: Graph, markers: ir.Value, steps: int) -> list[ir.Value]:
    """For each step a factor (1, 1) of the state that enters it: 0 where the marker is 0, else 1."""
    begins = g.node("Equal", g.reshape(markers, (steps, 1)), scalar(0), dtype=ir.DataType.BOOL)
    continues = g.cast(g.node("Not", begins), ir.DataType.FLOAT)
    return split_steps(g, continues, steps, 1)
