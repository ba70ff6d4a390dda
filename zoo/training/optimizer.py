"""The optimiser of a phase: SGD with momentum, and the factors of a recipe for some kinds of parameters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from zoo.training.recipe import Factors, Phase, Recipe

_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def sgd(net: nn.Module, recipe: Recipe, phase: Phase) -> torch.optim.SGD:
    """SGD as torch defines it, with a group of parameters for each kind; each has its `rate_factor`."""
    weight_decay = recipe.weight_decay if phase.weight_decay is None else phase.weight_decay
    groups: list[dict[str, Any]] = []
    for parameters, factors in _parameter_kinds(net, recipe):
        if parameters:
            groups.append(
                {
                    "params": parameters,
                    "weight_decay": weight_decay * factors.weight_decay,
                    "rate_factor": factors.learning_rate,
                }
            )
    chosen = recipe.momentum if phase.momentum is None else phase.momentum
    return torch.optim.SGD(groups, lr=1.0, momentum=chosen, nesterov=recipe.nesterov and chosen > 0)


def _parameter_kinds(net: nn.Module, recipe: Recipe) -> Iterator[tuple[list[nn.Parameter], Factors]]:
    """The weights, the biases, and the scales and biases of batch normalisation, each with its factors."""
    weights: list[nn.Parameter] = []
    biases: list[nn.Parameter] = []
    norms: list[nn.Parameter] = []
    for module in net.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if isinstance(module, _BATCH_NORMS):
                norms.append(parameter)
            else:
                (biases if name.startswith("bias") or name.endswith("_bias") else weights).append(parameter)
    yield weights, Factors()
    yield biases, recipe.biases
    yield norms, recipe.batch_norm
