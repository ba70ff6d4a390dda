"""LSTM and GRU over a whole sequence step by step, for variants that ONNX's LSTM and GRU do not have."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx_ir as ir

from converters.from_torch7.builder import Builder
from converters.from_torch7.module import Module
from converters.from_torch7.modules.arithmetic import repeat_per_sample
from converters.from_torch7.modules.reduction import reduce
from converters.from_torch7.modules.shape import take_entry
from converters.sizes import dims

# Each step becomes about ten nodes. Real nets have a few hundred steps.
MAX_STEPS = 2_000


def lstm_steps(g: Builder, m: Module, x: ir.Value, inputs: int, outputs: int) -> ir.Value:
    """rnn's SeqLSTM of x, time x N x inputs, from zeros: time x N x outputs.

    With weightO (hidden x outputs), each output is a projection of the hidden state. With maskzero, a step
    whose input is all zeros sets output and cell to zero.
    """
    projection = m.optional_tensor("weightO")
    hidden = m.integer("hiddensize", minimum=1) if projection is not None else outputs
    weight = m.tensor("weight", (inputs + outputs, 4 * hidden))
    weights = g.weight("weight", weight), g.weight("bias", m.tensor("bias", (4 * hidden,)))
    project = None if projection is None else g.weight("weightO", m.tensor("weightO", (hidden, outputs)))
    first = take_entry(g, x, 0, 0)
    output, cell = (
        repeat_per_sample(g, g.constant(np.zeros(size, np.float32)), first) for size in (outputs, hidden)
    )
    results = []
    for step, there in steps_of(g, m, x):
        gates = gemm(g, g.concat([step, output], 1), *weights)
        opened = g.node("Sigmoid", g.slice(gates, 1, 0, 3 * hidden))
        entry, forget, release = (g.slice(opened, 1, k * hidden, (k + 1) * hidden) for k in range(3))
        new = g.binary("Mul", entry, g.node("Tanh", g.slice(gates, 1, 3 * hidden, 4 * hidden)))
        cell = masked(g, there, g.binary("Add", g.binary("Mul", forget, cell), new))
        output = g.binary("Mul", g.node("Tanh", cell), release)
        if project is not None:
            output = g.node("MatMul", output, project, shape=(dims(output)[0], outputs))
        output = masked(g, there, output)
        results.append(output)
    return g.concat([g.unsqueeze(result, 0) for result in results], 0)


def gru_steps(g: Builder, m: Module, x: ir.Value, inputs: int, outputs: int) -> ir.Value:
    """rnn's SeqGRU of x, time x N x inputs, from zeros: time x N x outputs; with maskzero as `lstm_steps`."""
    weight = m.tensor("weight", (inputs + outputs, 3 * outputs))
    bias = m.tensor("bias", (3 * outputs,))
    split = 2 * outputs
    for_gates, gate_bias = g.weight("weight_gates", weight[:, :split]), g.weight("bias_gates", bias[:split])
    for_new, new_bias = g.weight("weight_new", weight[:, split:]), g.weight("bias_new", bias[split:])
    zeros = g.constant(np.zeros(outputs, np.float32))
    last = repeat_per_sample(g, zeros, take_entry(g, x, 0, 0))
    results = []
    for step, there in steps_of(g, m, x):
        gates = g.node("Sigmoid", gemm(g, g.concat([step, last], 1), for_gates, gate_bias))
        reset, update = g.slice(gates, 1, 0, outputs), g.slice(gates, 1, outputs, split)
        joined = g.concat([step, g.binary("Mul", reset, last)], 1)
        new = g.node("Tanh", gemm(g, joined, for_new, new_bias))
        mixed = g.binary("Add", new, g.binary("Mul", update, g.binary("Sub", last, new)))
        last = masked(g, there, mixed)
        results.append(last)
    return g.concat([g.unsqueeze(result, 0) for result in results], 0)


def steps_of(g: Builder, m: Module, x: ir.Value) -> Iterator[tuple[ir.Value, ir.Value | None]]:
    """Each step of x, N x features, and with maskzero an N x 1 mask: false where the step is all zeros."""
    count = m.static_size(dims(x)[0], "the number of time steps")
    if count > MAX_STEPS:
        raise m.unsupported(f"it would be unrolled to {count:,} steps, more than {MAX_STEPS:,}")
    for k in range(count):
        step = take_entry(g, x, 0, k)
        there = None
        if m.flag("maskzero"):
            largest = reduce(g, "ReduceMax", g.node("Abs", step), 1, keep=True)
            there = g.node("Greater", largest, np.zeros((), np.float32), dtype=ir.DataType.BOOL)
        yield step, there


def masked(g: Builder, there: ir.Value | None, x: ir.Value) -> ir.Value:
    """x where the mask is true, else 0; x without a mask."""
    if there is None:
        return x
    return g.node("Where", there, x, np.zeros((), np.float32), shape=dims(x), dtype=x.dtype)


def gemm(g: Builder, x: ir.Value, weight: ir.Value, bias: ir.Value) -> ir.Value:
    """x * weight + bias; the weight is inputs x outputs."""
    return g.node("Gemm", x, weight, bias, shape=(dims(x)[0], dims(weight)[1]))
