"""Recurrent layers, unrolled over time as Caffe itself unrolls them.

Bottoms: x (T, N, ...), cont (T, N), then x_static (N, ...) if there is one, then the initial states (1, N, D)
with expose_hidden. `cont` multiplies the state that enters a step: 0 starts a new sequence. State starts at
zero; Caffe's carries over between forward passes, ONNX's does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from converters.from_caffe.bind import BoundLayer, Parameter
from converters.from_caffe.fillers import declared
from converters.from_caffe.layers.table import layer
from converters.graph import Dim, Graph, dims, filled, product

# Each step becomes a dozen nodes; sequences of real nets have tens to hundreds of steps.
MAX_STEPS = 2000


@dataclass(frozen=True)
class Sequences:
    """The bottoms of a recurrent layer, sorted out: T steps of N items, and the sizes of what they carry."""

    x: ir.Value
    cont: ir.Value
    static: ir.Value | None
    states: Sequence[ir.Value]
    steps: int
    items: Dim

    @classmethod
    def of(cls, layer: BoundLayer, bottoms: Sequence[ir.Value], state_count: int) -> Sequences:
        """Told apart by their number, with Caffe's checks."""
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


@layer("LSTM", param="recurrent_param", in_place=False, tops=(1, 3))
def lstm(g: Graph, layer: BoundLayer, x: ir.Value, cont: ir.Value, *others: ir.Value) -> list[ir.Value]:
    """Gates in the order input, forget, output, candidate; no peepholes."""
    size = layer.param.num_output
    sequences = Sequences.of(layer, (x, cont, *others), state_count=2)
    weights = _weights(g, layer, sequences, 4 * size, _parameter("weight_hc", (4 * size, size), layer))
    gates = _by_step(g, _transformed(g, sequences, weights), sequences.steps)
    conts = _by_step(g, sequences.cont, sequences.steps)
    h, c = _initial(g, sequences, size, 2)
    outputs = []
    for gate_input, cont_step in zip(gates, conts, strict=True):
        keep = g.reshape(cont_step, (1, sequences.items, 1))
        kept = g.node("Mul", h, keep, shape=(1, sequences.items, size))
        from_state = _inner(g, kept, weights["weight_hc"])
        c, h = lstm_unit_step(g, c, g.node("Add", from_state, gate_input), keep)
        outputs.append(h)
    return [_joined(g, outputs), *([h, c] if layer.param.expose_hidden else [])]


@layer("RNN", param="recurrent_param", in_place=False, tops=(1, 2))
def rnn(g: Graph, layer: BoundLayer, x: ir.Value, cont: ir.Value, *others: ir.Value) -> list[ir.Value]:
    """h = tanh(W_hh h + W_xh x + b_h), o = tanh(W_ho h + b_o)."""
    size = layer.param.num_output
    sequences = Sequences.of(layer, (x, cont, *others), state_count=1)
    weights = _weights(
        g,
        layer,
        sequences,
        size,
        _parameter("weight_hh", (size, size), layer),
        _parameter("weight_ho", (size, size), layer),
        Parameter("bias_o", (size,), layer.param.bias_filler),
    )
    inputs = _by_step(g, _transformed(g, sequences, weights), sequences.steps)
    conts = _by_step(g, sequences.cont, sequences.steps)
    (h,) = _initial(g, sequences, size, 1)
    outputs = []
    for step_input, cont_step in zip(inputs, conts, strict=True):
        keep = g.reshape(cont_step, (1, sequences.items, 1))
        kept = g.node("Mul", h, keep, shape=(1, sequences.items, size))
        from_state = _inner(g, kept, weights["weight_hh"])
        h = g.node("Tanh", g.node("Add", from_state, step_input))
        outputs.append(g.node("Tanh", _inner(g, h, weights["weight_ho"], weights["bias_o"])))
    return [_joined(g, outputs), *([h] if layer.param.expose_hidden else [])]


@layer("LSTMUnit", in_place=False, tops=(2, 2))
def lstm_unit(g: Graph, layer: BoundLayer, c: ir.Value, gates: ir.Value, cont: ir.Value) -> list[ir.Value]:
    """One step: (cell, gates, cont) to (cell, hidden)."""
    size = layer.static(dims(c)[-1], "the size of the state")
    layer.check(dims(gates)[-1] == 4 * size, f"the gates must be {4 * size} wide, they are {dims(gates)[-1]}")
    return list(lstm_unit_step(g, c, gates, g.reshape(cont, (*dims(c)[:2], 1))))


def lstm_unit_step(g: Graph, c: ir.Value, gates: ir.Value, keep: ir.Value) -> tuple[ir.Value, ir.Value]:
    """(new cell, hidden): keep * sigmoid(f) * c + sigmoid(i) * tanh(g), and sigmoid(o) * tanh of it."""
    size = dims(c)[-1]
    assert isinstance(size, int)
    shapes = [(*dims(gates)[:-1], size)] * 4
    i, f, o, candidate = g.nodes("Split", gates, np.array([size] * 4, np.int64), shapes=shapes, axis=2)
    kept = g.node("Mul", g.node("Mul", g.node("Sigmoid", f), keep), c)
    added = g.node("Mul", g.node("Sigmoid", i), g.node("Tanh", candidate))
    cell = g.node("Add", kept, added)
    return cell, g.node("Mul", g.node("Sigmoid", o), g.node("Tanh", cell))


def _parameter(name: str, shape: tuple[int, ...], layer: BoundLayer) -> Parameter:
    return Parameter(name, shape, declared(layer.param, "weight_filler"))


def _weights(
    g: Graph, layer: BoundLayer, sequences: Sequences, width: int, *state: Parameter
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


def _transformed(g: Graph, sequences: Sequences, weights: dict[str, ir.Value]) -> ir.Value:
    """What x (and x_static) contribute to every step: (T, N, width)."""
    steps, items = sequences.steps, sequences.items
    flat = g.reshape(sequences.x, (steps, items, product(dims(sequences.x)[2:])))
    transformed = _inner(g, flat, weights["weight_x"], weights["bias"])
    if sequences.static is None:
        return transformed
    static = g.reshape(sequences.static, (1, items, product(dims(sequences.static)[1:])))
    return g.node("Add", transformed, _inner(g, static, weights["weight_x_static"]))


def _inner(g: Graph, x: ir.Value, weight: ir.Value, bias: ir.Value | None = None) -> ir.Value:
    """InnerProduct over the last of three axes."""
    steps, items, _ = dims(x)
    width, inputs = dims(weight)
    rows = g.reshape(x, (product((steps, items)), inputs))
    y = g.node("Gemm", rows, weight, bias, shape=(product((steps, items)), width), transB=1)
    return g.reshape(y, (steps, items, width))


def _by_step(g: Graph, x: ir.Value, steps: int) -> list[ir.Value]:
    if steps == 1:
        return [x]
    shapes = [(1, *dims(x)[1:])] * steps
    return g.nodes("Split", x, np.array([1] * steps, np.int64), shapes=shapes, axis=0)


def _joined(g: Graph, outputs: list[ir.Value]) -> ir.Value:
    if len(outputs) == 1:
        return outputs[0]
    return g.node("Concat", *outputs, shape=(len(outputs), *dims(outputs[0])[1:]), axis=0)


def _initial(g: Graph, sequences: Sequences, size: int, count: int) -> list[ir.Value]:
    """The states that enter the first step; zeros stand for every item at once."""
    if sequences.states:
        return list(sequences.states)
    return [g.constant(filled((1, 1, size), 0))] * count
