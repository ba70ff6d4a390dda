"""LSTM, GRU and RNN with stored weights, as torch's modules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from converters.to_pytorch.context import Context
from converters.to_pytorch.generated_net import Initializer
from converters.to_pytorch.helpers import recurrent as helpers
from converters.to_pytorch.registry import operator
from converters.training_settings import FROZEN, has_single_bias

Results = tuple[Tensor, ...]


@operator("LSTM")
def lstm(
    ctx: Context,
    x: Tensor,
    w: Initializer,
    r: Initializer,
    b: Initializer | None = None,
    sequence_lens: Tensor | None = None,
    initial_h: Tensor | None = None,
    initial_c: Tensor | None = None,
    p: Initializer | None = None,
    *,
    activations: list[str] | None = None,
    clip: float | None = None,
    direction: str = "forward",
    hidden_size: int | None = None,
    input_forget: int = 0,
    layout: int = 0,
) -> Results:
    """An nn.LSTM; torch stores the gates in the order input, forget, cell, output."""
    _check_options(ctx, sequence_lens, clip, layout, activations, ["Sigmoid", "Tanh", "Tanh"])
    if p is not None or input_forget:
        ctx.unsupported("PyTorch has neither peepholes nor coupled gates")
    weights = _weights(ctx, w, r, b, [0, 2, 3, 1])
    state = (initial_h, initial_c) if initial_h is not None and initial_c is not None else None
    if state is None and (initial_h is not None or initial_c is not None):
        ctx.unsupported("one of its two initial states is missing")
    outputs, (h, c) = _apply(ctx, nn.LSTM, x, w, r, weights, direction, state, {})
    return outputs, h, c


@operator("GRU")
def gru(
    ctx: Context,
    x: Tensor,
    w: Initializer,
    r: Initializer,
    b: Initializer | None = None,
    sequence_lens: Tensor | None = None,
    initial_h: Tensor | None = None,
    *,
    activations: list[str] | None = None,
    clip: float | None = None,
    direction: str = "forward",
    hidden_size: int | None = None,
    layout: int = 0,
    linear_before_reset: int = 0,
) -> Results:
    """An nn.GRU if the reset gate is applied after the product; torch stores reset, update, new."""
    _check_options(ctx, sequence_lens, clip, layout, activations, ["Sigmoid", "Tanh"])
    if not linear_before_reset:
        return _gru_reset_before_product(ctx, x, w, r, b, initial_h, direction)
    outputs, (h,) = _apply(ctx, nn.GRU, x, w, r, _weights(ctx, w, r, b, [1, 0, 2]), direction, initial_h, {})
    return outputs, h


def _gru_reset_before_product(
    ctx: Context,
    x: Tensor,
    w: Initializer,
    r: Initializer,
    b: Initializer | None,
    initial_h: Tensor | None,
    direction: str,
) -> Results:
    outputs, states = [], []
    for k, end in enumerate(["", "_reverse"][: w.array.shape[0]]):
        backwards = direction == "reverse" or k == 1
        weights = [replace(part, array=part.array[k]) for part in (w, r)]
        if b is not None:
            of_input, of_state = np.split(b.array[k], 2)
            weights.append(replace(b, array=of_input + of_state))
        tensors: list[Any] = [ctx.tensor(replace(weight, name=weight.name + end)) for weight in weights]
        for matrix in tensors[:2]:
            ctx.net.gates[str(matrix.node.target)] = 3
        state = {} if initial_h is None else {"state": ctx.tensor(initial_h)[k]}
        result = ctx.call(helpers.gru, x.flip(0) if backwards else x, *tensors, **state)
        steps, last = ctx.unpack(result, 2)
        outputs.append(steps.flip(0) if backwards else steps)
        states.append(last)
    return ctx.call(torch.stack, outputs, 1), ctx.call(torch.stack, states)


@operator("RNN")
def rnn(
    ctx: Context,
    x: Tensor,
    w: Initializer,
    r: Initializer,
    b: Initializer | None = None,
    sequence_lens: Tensor | None = None,
    initial_h: Tensor | None = None,
    *,
    activations: list[str] | None = None,
    clip: float | None = None,
    direction: str = "forward",
    hidden_size: int | None = None,
    layout: int = 0,
) -> Results:
    """An nn.RNN with tanh or relu."""
    relu = bool(activations) and set(activations or ()) == {"Relu"}
    _check_options(ctx, sequence_lens, clip, layout, activations, ["Relu" if relu else "Tanh"])
    options = {"nonlinearity": "relu"} if relu else {}
    outputs, (h,) = _apply(ctx, nn.RNN, x, w, r, _weights(ctx, w, r, b, [0]), direction, initial_h, options)
    return outputs, h


def _check_options(
    ctx: Context,
    sequence_lens: Tensor | None,
    clip: float | None,
    layout: int,
    activations: list[str] | None,
    expected: list[str],
) -> None:
    if sequence_lens is not None or clip or layout:
        ctx.unsupported("PyTorch has no sequence_lens, clip or layout=1")
    if activations and activations not in (expected, expected * 2):
        ctx.unsupported(f"its activations are {activations}, and PyTorch's are {expected}")


def _weights(
    ctx: Context, w: Initializer, r: Initializer, b: Initializer | None, order: Sequence[int]
) -> dict[str, Initializer]:
    """Torch's parameters from ONNX's (directions, gates * hidden, ...), the gates in this order."""
    gates, hidden = len(order), r.array.shape[2]

    def reordered(source: Initializer, array: np.ndarray) -> Initializer:
        parts = array.reshape(gates, hidden, *array.shape[1:])
        return replace(source, array=np.ascontiguousarray(parts[list(order)]).reshape(array.shape))

    found = {}
    for direction in range(w.array.shape[0]):
        end = "_reverse" if direction else ""
        found[f"weight_ih_l0{end}"] = reordered(w, w.array[direction])
        found[f"weight_hh_l0{end}"] = reordered(r, r.array[direction])
        if b is not None:
            of_input, of_state = np.split(b.array[direction], 2)
            found[f"bias_ih_l0{end}"] = reordered(b, of_input)
            found[f"bias_hh_l0{end}"] = reordered(b, of_state)
            if has_single_bias(ctx.node.inputs[3]):
                frozen = replace(found[f"bias_hh_l0{end}"], multipliers=FROZEN)
                found[f"bias_hh_l0{end}"] = frozen
    return found


def _apply(
    ctx: Context,
    module_type: type[nn.Module],
    x: Tensor,
    w: Initializer,
    r: Initializer,
    weights: dict[str, Initializer],
    direction: str,
    state: Any,  # noqa: ANN401
    options: dict[str, Any],
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """The outputs (steps, directions, batch, hidden) and the last states."""
    hidden, both = r.array.shape[2], direction == "bidirectional"
    backwards = direction == "reverse"
    if both:
        options = {**options, "bidirectional": True}
    bias = "bias_ih_l0" in weights
    module = ctx.module(module_type, w.array.shape[2], hidden, bias=bias, **options, weights=weights)
    steps, last = ctx.unpack(module(x.flip(0) if backwards else x, *([] if state is None else [state])), 2)
    outputs = steps.unflatten(2, (2, hidden)).transpose(1, 2) if both else steps.unsqueeze(1)
    states = (last[0], last[1]) if module_type is nn.LSTM else (last,)
    return outputs.flip(0) if backwards else outputs, states
