"""Recurrent layers, unrolled over time as Caffe itself unrolls them.

Bottoms: x (T, N, ...), cont (T, N), then x_static (N, ...) if there is one, then the initial states (1, N, D)
with expose_hidden. `cont` multiplies the state that enters a step: 0 starts a new sequence. State starts at
zero; Caffe's carries over between forward passes, ONNX's does not.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from converters.from_caffe import schema
from converters.from_caffe.bound_layer import BoundLayer, Parameter
from converters.from_caffe.fillers import declared_filler
from converters.from_caffe.layers.registry import layer
from converters.graph import Graph
from converters.sizes import Dim, dims, product

# Each step becomes a dozen nodes. Real nets have tens to hundreds of steps.
MAX_STEPS = 2000


@dataclass(frozen=True)
class RecurrentBottoms:
    """The bottoms of a recurrent layer by their role, for T steps (`steps`) of N items (`items`)."""

    x: ir.Value
    cont: ir.Value
    static: ir.Value | None
    states: Sequence[ir.Value]
    steps: int
    items: Dim

    @classmethod
    def of(cls, layer: BoundLayer, bottoms: Sequence[ir.Value], state_count: int) -> RecurrentBottoms:
        """The roles follow from the number of bottoms; with Caffe's checks."""
        x, cont, *rest = bottoms
        hidden = state_count if layer.param.expose_hidden else 0
        layer.check(len(rest) in (hidden, hidden + 1), f"{len(bottoms)} bottoms do not fit expose_hidden")
        layer.check(layer.top_count == 1 + hidden, f"makes {1 + hidden} top(s), not {layer.top_count}")
        layer.check(len(dims(x)) >= 2, "the first bottom needs the axes time and item")
        layer.check(dims(cont) == dims(x)[:2], f"cont is {dims(cont)}, expected {dims(x)[:2]} (time, item)")
        steps, items = layer.static(dims(x)[0], "the number of steps"), dims(x)[1]
        if steps > MAX_STEPS:
            raise layer.unsupported(f"{steps:,} steps would be unrolled; the most is {MAX_STEPS:,}")
        return cls(x, cont, rest[0] if len(rest) > hidden else None, rest[len(rest) - hidden :], steps, items)


def _time_major_bottoms(states: int, message: schema.Message) -> list[str]:
    """The sequence, cont and, where given, the initial states; x_static between them has no time axis."""
    given = states if message.recurrent_param.expose_hidden else 0
    return [*message.bottom[:2], *message.bottom[len(message.bottom) - given :]]


@layer(
    "LSTM",
    param="recurrent_param",
    fork_field_numbers=(151,),
    in_place=False,
    tops=(1, 3),
    time_major_bottoms=functools.partial(_time_major_bottoms, 2),
)
def lstm(g: Graph, layer: BoundLayer, x: ir.Value, cont: ir.Value, *others: ir.Value) -> list[ir.Value]:
    """(T, N, ...) to (T, N, num_output): gates as input, forget, output, candidate; no peepholes."""
    size = layer.param.num_output
    sequences = RecurrentBottoms.of(layer, (x, cont, *others), state_count=2)
    weights = _weights(g, layer, sequences, 4 * size, _parameter("weight_hc", (4 * size, size), layer))
    h, c = _initial(g, sequences, size, 2)
    outputs = []
    for gates, keep in zip(_inputs(g, sequences, weights), _state_factors(g, sequences), strict=True):
        if h is not None and keep is not None:
            gates = matrix_product(g, g.node("Mul", h, keep), weights["weight_hc"], gates)
        c, h = lstm_step(g, gates, c, keep)
        outputs.append(h)
    return [stack_steps(g, outputs), *_exposed(g, layer, h, c)]


@layer(
    "RNN",
    param="recurrent_param",
    fork_field_numbers=(151,),
    in_place=False,
    tops=(1, 2),
    time_major_bottoms=functools.partial(_time_major_bottoms, 1),
)
def rnn(g: Graph, layer: BoundLayer, x: ir.Value, cont: ir.Value, *others: ir.Value) -> list[ir.Value]:
    """h = tanh(W_hh h + W_xh x + b_h), o = tanh(W_ho h + b_o)."""
    size = layer.param.num_output
    sequences = RecurrentBottoms.of(layer, (x, cont, *others), state_count=1)
    weights = _weights(
        g,
        layer,
        sequences,
        size,
        _parameter("weight_hh", (size, size), layer),
        _parameter("weight_ho", (size, size), layer),
        Parameter("bias_o", (size,), layer.param.bias_filler),
    )
    (h,) = _initial(g, sequences, size, 1)
    outputs = []
    for step_input, keep in zip(_inputs(g, sequences, weights), _state_factors(g, sequences), strict=True):
        if h is not None and keep is not None:
            step_input = matrix_product(g, g.node("Mul", h, keep), weights["weight_hh"], step_input)
        h = g.node("Tanh", step_input)
        outputs.append(g.node("Tanh", matrix_product(g, h, weights["weight_ho"], weights["bias_o"])))
    return [stack_steps(g, outputs), *_exposed(g, layer, h)]


@layer("LSTMUnit", in_place=False, tops=(2, 2))
def lstm_unit(g: Graph, layer: BoundLayer, c: ir.Value, gates: ir.Value, cont: ir.Value) -> list[ir.Value]:
    """One step: (cell, gates, cont) to (cell, hidden)."""
    size = layer.static(dims(c)[-1], "the size of the state")
    layer.check(dims(gates)[-1] == 4 * size, f"the gates must be {4 * size} wide, they are {dims(gates)[-1]}")
    return list(lstm_step(g, gates, c, g.reshape(cont, (*dims(c)[:2], 1))))


def lstm_step(
    g: Graph, gates: ir.Value, c: ir.Value | None, keep: ir.Value | None = None
) -> tuple[ir.Value, ir.Value]:
    """(new cell, hidden): keep * sigmoid(f) * c + sigmoid(i) * tanh(g), and sigmoid(o) * tanh of it.

    A cell of None stands for zeros, a keep of None for ones.
    """
    *outer, width = dims(gates)
    assert isinstance(width, int)
    quarter = width // 4
    i, f, o, candidate = g.nodes(
        "Split", gates, np.full(4, quarter, np.int64), shapes=[(*outer, quarter)] * 4, axis=len(outer)
    )
    cell = g.node("Mul", g.node("Sigmoid", i), g.node("Tanh", candidate))
    if c is not None:
        forget = g.node("Sigmoid", f)
        kept = g.node("Mul", forget if keep is None else g.node("Mul", forget, keep), c)
        cell = g.node("Add", kept, cell)
    return cell, g.node("Mul", g.node("Sigmoid", o), g.node("Tanh", cell))


def _parameter(name: str, shape: tuple[int, ...], layer: BoundLayer) -> Parameter:
    return Parameter(name, shape, declared_filler(layer.param, "weight_filler"))


def _weights(
    g: Graph, layer: BoundLayer, sequences: RecurrentBottoms, width: int, *state: Parameter
) -> dict[str, ir.Value]:
    """The layer's parameters in Caffe's order: of x, its bias, of x_static, then those of the state."""
    layer.check(layer.param.num_output > 0, "num_output must be positive")
    inputs = layer.static(product(dims(sequences.x)[2:]), "the size of a step")
    wanted = [
        _parameter("weight_x", (width, inputs), layer),
        Parameter("bias", (width,), layer.param.bias_filler),
    ]
    if sequences.static is not None:
        static_inputs = layer.static(product(dims(sequences.static)[1:]), "the size of x_static")
        wanted.append(_parameter("weight_x_static", (width, static_inputs), layer))
    wanted += state
    arrays = layer.parameters(*wanted)
    return {w.name: g.parameter(w.name, array) for w, array in zip(wanted, arrays, strict=True)}


def _inputs(g: Graph, sequences: RecurrentBottoms, weights: dict[str, ir.Value]) -> list[ir.Value]:
    """What x (and x_static) contribute to each step: (N, width)."""
    steps, items = sequences.steps, sequences.items
    rows = g.reshape(sequences.x, (product((steps, items)), product(dims(sequences.x)[2:])))
    inputs = matrix_product(g, rows, weights["weight_x"], weights["bias"])
    if sequences.static is None:
        return split_steps(g, inputs, steps, items)
    static = g.reshape(sequences.static, (items, product(dims(sequences.static)[1:])))
    return split_steps(g, inputs, steps, items, matrix_product(g, static, weights["weight_x_static"]))


def split_steps(
    g: Graph, rows: ir.Value, steps: int, items: Dim, addend: ir.Value | None = None
) -> list[ir.Value]:
    """Rows (T * N, width) as T times (N, width), to each of which `addend` (N, width) is added."""
    if steps > 1:
        rows = g.reshape(rows, (steps, items, dims(rows)[1]))
    if addend is not None:
        rows = g.node("Add", rows, addend)
    return [rows] if steps == 1 else [_at(g, rows, step) for step in range(steps)]


def _state_factors(g: Graph, sequences: RecurrentBottoms) -> list[ir.Value | None]:
    """The factors of the state that enters each step, (N, 1); None where the state is zeros."""
    steps, items = sequences.steps, sequences.items
    if steps == 1:
        return [g.reshape(sequences.cont, (items, 1)) if sequences.states else None]
    keeps = g.reshape(sequences.cont, (steps, items, 1))
    return [_at(g, keeps, step) if step or sequences.states else None for step in range(steps)]


def _at(g: Graph, x: ir.Value, step: int) -> ir.Value:
    return g.node("Gather", x, np.array(step, np.int64), shape=dims(x)[1:], axis=0)


def matrix_product(g: Graph, rows: ir.Value, weight: ir.Value, addend: ir.Value | None = None) -> ir.Value:
    """rows times the transposed weight, plus a bias or a value for each row."""
    return g.node("Gemm", rows, weight, addend, shape=(dims(rows)[0], dims(weight)[0]), transB=1)


def _initial(g: Graph, sequences: RecurrentBottoms, size: int, count: int) -> list[ir.Value | None]:
    """The states that enter the first step; None stands for zeros."""
    given = [g.reshape(state, (sequences.items, size)) for state in sequences.states]
    return [*given] or [None] * count


def stack_steps(g: Graph, outputs: Sequence[ir.Value]) -> ir.Value:
    """T outputs (N, width) as (T, N, width)."""
    steps, (items, width) = len(outputs), dims(outputs[0])
    rows = outputs[0]
    if steps > 1:
        rows = g.node("Concat", *outputs, shape=(product((steps, items)), width), axis=0)
    return g.reshape(rows, (steps, items, width))


def _exposed(g: Graph, layer: BoundLayer, *states: ir.Value | None) -> list[ir.Value]:
    if not layer.param.expose_hidden:
        return []
    return [g.reshape(state, (1, *dims(state))) for state in states if state is not None]
