"""Recurrent modules of Element-Research's rnn and the LSTM of torch-rnn, if each call starts without state.

A Sequencer runs a module once for each step: each entry of a table, or of the first dimension of a tensor.
The recurrent modules inside keep their output for the next step; see `Conversion.recurrent_scope`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import onnx_ir as ir

from converters.errors import FormatError
from converters.from_torch7.backward_shape_inference import (
    ANY,
    Expected,
    ShapeDependent,
    batch_first,
    time_first,
)
from converters.from_torch7.builder import Builder
from converters.from_torch7.conversion import Conversion, Infer
from converters.from_torch7.module import Module
from converters.from_torch7.modules.arithmetic import repeat_per_sample
from converters.from_torch7.modules.checks import check_channels, check_rank, table_entry, tensor_value
from converters.from_torch7.modules.table import split_views
from converters.from_torch7.modules.unrolled_sequences import gru_steps, lstm_steps
from converters.from_torch7.modules.wrappers import inner_module
from converters.from_torch7.registry import module, structure
from converters.from_torch7.tensor_references import NestedTensors, NestedValues, ValueStorage, read_values
from converters.sizes import Shape, dims
from converters.training_settings import mark_single_bias


def check_starts_from_zeros(m: Module) -> None:
    """UnsupportedError for a module that starts from the state of an earlier call, or from a given state."""
    if m.text("_remember", "neither") in {"eval", "both"} or m.flag("remember_states"):
        raise m.unsupported("it keeps its state from one call of the net to the next")
    if m.flag("userPrevOutput") or m.flag("userPrevCell"):
        raise m.unsupported("it starts from a given state (userPrevOutput, userPrevCell)")


def expected_by_steps(m: Module, infer: Infer, successor: Expected) -> Expected:
    """A table of what the module inside expects, or a tensor with one dimension more."""
    item = infer(inner_module(m), ANY)

    def choose(shapes: Sequence[Shape]) -> Expected:
        return ANY if len(shapes) == 1 and len(shapes[0]) > 2 else [item] * len(shapes)

    return ShapeDependent(choose)


@structure("Sequencer", expects=expected_by_steps)
def sequencer(conversion: Conversion, m: Module, x: NestedTensors) -> NestedTensors:
    """The module inside for each step, starting without state; the outputs as a table or tensor."""
    check_starts_from_zeros(m)
    steps = x if isinstance(x, list) else split_views(conversion, m, x, 0)
    with conversion.recurrent_scope():
        outputs = [
            conversion.output_of(m, read_values(conversion.run(inner_module(m), step)), position=(k,))
            for k, step in enumerate(steps)
        ]
    if isinstance(x, list):
        return outputs
    g = conversion.graph
    with conversion.layer(m, "stack") as layer:
        result = g.concat([g.unsqueeze(tensor_value(m, output), 0) for output in outputs], 0)
        layer.set_output(x.read(), result)
    return conversion.output_of(m, result, position=(-1,))


@structure("Recursor")
def recursor(conversion: Conversion, m: Module, x: NestedTensors) -> NestedTensors:
    """The module inside; its recurrent parts keep their state from step to step (rnn)."""
    return conversion.run(m.child("recurrentModule"), x)


@structure("LSTM", "FastLSTM")
def lstm(conversion: Conversion, m: Module, x: NestedTensors) -> NestedTensors:
    """A step in a Sequencer: the module inside computes {output, cell} from {input, output, cell} (rnn).

    torch-rnn's class of the same name is a whole sequence: see `seq_lstm`.
    """
    if not m.has("recurrentModule"):
        return seq_lstm.run(conversion, m, x)
    last = (
        conversion.recurrent_state(m)
        or [initial_output(conversion, m, x, [m.integer("outputSize", minimum=1)], 1)] * 2
    )
    state = conversion.run(m.child("recurrentModule"), [x, *last])
    if not isinstance(state, list):
        raise m.error(FormatError, "the module inside gives a tensor instead of {output, cell}")
    conversion.set_recurrent_state(m, state)
    return table_entry(m, state, 1)


@structure("GRU", "MuFuRu", "Recurrence")
def gru(conversion: Conversion, m: Module, x: NestedTensors) -> NestedTensors:
    """A step in a Sequencer: the module inside computes the output from {input, last output} (rnn)."""
    size = m.get("outputSize")
    sizes = [m.integer("outputSize", minimum=1)] if isinstance(size, float) else m.sizes("outputSize")
    last = conversion.recurrent_state(m) or [
        initial_output(conversion, m, x, sizes, m.integer("nInputDim", 1))
    ]
    output = conversion.run(m.child("recurrentModule"), [x, *last])
    conversion.set_recurrent_state(m, [output])
    return output


@structure("Recurrent")
def recurrent(conversion: Conversion, m: Module, x: NestedTensors) -> NestedTensors:
    """A step in a Sequencer, like Recurrence, but with another module for the first step (rnn)."""
    last = conversion.recurrent_state(m)
    output = (
        conversion.run(m.child("recurrentModule"), [x, *last])
        if last
        else conversion.run(m.child("initialModule"), x)
    )
    conversion.set_recurrent_state(m, [output])
    return output


def initial_output(
    conversion: Conversion, m: Module, x: NestedTensors, size: list[int], rank: int
) -> NestedTensors:
    """Zeros as the output before the first step, for each sample of the (first) input.

    size: of one output. rank: the number of dimensions of one input sample.
    """
    check_starts_from_zeros(m)
    while isinstance(x, list):
        x = table_entry(m, x, 1)
    value = x.read()
    with conversion.layer(m, "zeros"):
        m.check_element_count(*size)
        zeros = conversion.graph.full(size, 0.0)
        return ValueStorage(
            repeat_per_sample(conversion.graph, zeros, value) if len(dims(value)) > rank else zeros
        )


@structure("MaskZero", "TrimZero", expects=lambda m, infer, successor: infer(inner_module(m), successor))
def mask_zero(conversion: Conversion, m: Module, x: NestedTensors) -> NestedTensors:
    """The module inside; its output is zero for those samples whose (first) input is all zeros."""
    first = x
    while isinstance(first, list):
        first = table_entry(m, first, 1)
    given, rank, g = first.read(), m.integer("nInputDim", minimum=1), conversion.graph
    batch = len(dims(given)) - rank
    check_rank(m, given, rank, rank + 1)
    with conversion.layer(m, "mask"):
        axes = np.arange(batch, len(dims(given)))
        largest = g.node("ReduceMax", g.node("Abs", given), axes, shape=dims(given)[:batch], keepdims=0)
        there = g.node("Greater", largest, np.zeros((), np.float32), dtype=ir.DataType.BOOL)
    output = read_values(conversion.run(inner_module(m), x))

    def masked(part: NestedValues) -> NestedValues:
        if isinstance(part, list):
            return [masked(inner) for inner in part]
        mask = there
        for _ in range(len(dims(part)) - batch):
            mask = g.unsqueeze(mask, len(dims(mask)))
        return g.node("Where", mask, part, np.zeros((), np.float32), shape=dims(part), dtype=part.dtype)

    with conversion.layer(m, "masked"):
        return conversion.output_of(m, masked(output))


def to_time_first(g: Builder, m: Module, x: ir.Value, inputs: int) -> ir.Value:
    """x as time x batch x features, whichever the module takes."""
    check_starts_from_zeros(m)
    check_rank(m, x, 3)
    check_channels(m, x, 2, inputs)
    return g.transpose(x, [1, 0, 2]) if batch_is_first(m) else x


def batch_is_first(m: Module) -> bool:
    """Whether the first dimension is the batch; always so in versions with `remember_states`."""
    return m.flag("batchfirst") or m.has("remember_states") or m.has("hidden_dim")


def onnx_weights(m: Module, order: Sequence[int], inputs: int, outputs: int) -> list[np.ndarray]:
    """ONNX's W, R and B, from a weight of (inputs + outputs) x gates * outputs.

    order: the index in the weight of each of ONNX's gates.
    """
    weight = m.tensor("weight", (inputs + outputs, len(order) * outputs)).T
    bias = m.tensor("bias", (len(order) * outputs,))
    rows = np.concatenate([np.arange(outputs) + gate * outputs for gate in order])
    both = np.concatenate([bias[rows], np.zeros_like(bias)])
    arrays = weight[rows, :inputs], weight[rows, inputs:], both
    return [np.ascontiguousarray(array[None], np.float32) for array in arrays]


def sequence_sizes(m: Module) -> tuple[int, int]:
    """The numbers of input and output features; each class and version has other names for these fields."""
    names = ("inputsize", "inputSize", "input_dim"), ("outputsize", "outputSize", "hidden_dim")
    input_field, output_field = (next((name for name in group if m.has(name)), group[0]) for group in names)
    return m.integer(input_field, minimum=1), m.integer(output_field, minimum=1)


def expected_by_sequence(m: Module) -> Expected:
    """Time x batch x features, or batch x time x features."""
    inputs = sequence_sizes(m)[0]
    return batch_first(None, inputs) if batch_is_first(m) else time_first(inputs)


def run_steps(
    g: Builder, m: Module, x: ir.Value, steps: Callable[[Builder, Module, ir.Value, int, int], ir.Value]
) -> ir.Value:
    """A whole sequence step by step."""
    inputs, outputs = sequence_sizes(m)
    result = steps(g, m, to_time_first(g, m, x, inputs), inputs, outputs)
    return g.transpose(result, [1, 0, 2]) if batch_is_first(m) else result


def run_sequence(g: Builder, m: Module, x: ir.Value, op_type: str, order: Sequence[int]) -> ir.Value:
    """A whole sequence through ONNX's LSTM, GRU or RNN."""
    inputs, outputs = sequence_sizes(m)
    steps = to_time_first(g, m, x, inputs)
    weights = [
        g.parameter(name, array)
        for name, array in zip("WRB", onnx_weights(m, order, inputs, outputs), strict=True)
    ]
    mark_single_bias(weights[2])
    shape = (dims(steps)[0], 1, dims(steps)[1], outputs)
    result = g.squeeze(g.node(op_type, steps, *weights, shape=shape, hidden_size=outputs), [1])
    return g.transpose(result, [1, 0, 2]) if batch_is_first(m) else result


@module("SeqLSTM", "SeqLSTMP", name="lstm", expects=expected_by_sequence)
def seq_lstm(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """An LSTM over a whole sequence, starting from zeros; with the gates input, forget, output, cell.

    ONNX's LSTM has neither a projection of the output (weightO) nor a restart where the input is all zeros
    (maskzero): with these, each step becomes nodes of its own.
    """
    if m.has("weightO") or m.flag("maskzero"):
        return run_steps(g, m, x, lstm_steps)
    return run_sequence(g, m, x, "LSTM", (0, 2, 1, 3))


@module("SeqGRU", name="gru", expects=expected_by_sequence)
def seq_gru(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """A GRU over a whole sequence, starting from zeros; with the gates reset, update, candidate."""
    if m.flag("maskzero"):
        return run_steps(g, m, x, gru_steps)
    return run_sequence(g, m, x, "GRU", (1, 0, 2))


@module("VanillaRNN", name="rnn", expects=expected_by_sequence)
def vanilla_rnn(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """h = tanh(W {x, h} + b) over a whole sequence, starting from zeros (torch-rnn)."""
    return run_sequence(g, m, x, "RNN", (0,))
