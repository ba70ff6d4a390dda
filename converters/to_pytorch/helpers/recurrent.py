"""Recurrent layers for which torch has no module, as ONNX defines them."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812


def gru(
    x: torch.Tensor,
    weight: torch.Tensor,
    of_state: torch.Tensor,
    bias: torch.Tensor | None = None,
    state: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The outputs (steps, batch, hidden) and the last state of a GRU.

    The gates are update, reset, candidate; the state is reset before its product.
    """
    hidden = of_state.shape[1]
    if state is None:
        state = x.new_zeros(x.shape[1], hidden)
    outputs = []
    for step in F.linear(x, weight, bias):
        gates = step[:, : 2 * hidden] + F.linear(state, of_state[: 2 * hidden])
        update, reset = gates.sigmoid().chunk(2, dim=1)
        product = F.linear(reset * state, of_state[2 * hidden :])
        candidate = torch.tanh(step[:, 2 * hidden :] + product)
        state = (1 - update) * candidate + update * state
        outputs.append(state)
    return torch.stack(outputs), state
