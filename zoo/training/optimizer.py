"""The optimiser of a phase: SGD with momentum, and factors on learning rate and weight decay.

A net brings factors of its own: those that its Caffe definition states as lr_mult and decay_mult, which
net.py has as `multipliers`. A recipe may replace them for biases and batch normalisation, or leave them all
out. A weight whose learning rate has the factor 0 in the definition is frozen.

net.py also has `without_gradient`: parameters that no gradient reaches, because a layer after them states
propagate_down: false. As in Caffe, only their weight decay changes them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from zoo.training.recipe import Factors, Phase, Recipe

_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def sgd(net: nn.Module, recipe: Recipe, phase: Phase) -> torch.optim.SGD:
    """SGD as torch defines it, with a group of parameters for each pair of factors.

    Each group has its `rate_factor`, by which the loop multiplies the learning rate. Frozen parameters are in
    no group; those of `parameters_without_gradient` are.
    """
    weight_decay = recipe.weight_decay if phase.weight_decay is None else phase.weight_decay
    groups: dict[tuple[float, float], dict[str, Any]] = {}
    for parameter, rate, decay in _trained_parameters(net, recipe):
        group = {"params": [], "weight_decay": weight_decay * decay, "rate_factor": rate}
        groups.setdefault((rate, decay), group)["params"].append(parameter)
    chosen = recipe.momentum if phase.momentum is None else phase.momentum
    options: dict[str, Any] = {"lr": 1.0, "momentum": chosen, "nesterov": recipe.nesterov and chosen > 0}
    return torch.optim.SGD(list(groups.values()), **options)


def freeze(net: nn.Module, recipe: Recipe) -> None:
    """Compute no gradient for what none reaches, nor for what is frozen, if the recipe follows that."""
    unreached = set(_without_gradient(net))
    for name, parameter, _ in _named_parameters(net):
        if name in unreached or (recipe.multipliers and own_factors(net, name)[0] == 0):
            parameter.requires_grad_(False)


def parameters_without_gradient(net: nn.Module) -> list[nn.Parameter]:
    """What no gradient reaches: each step has to give them a gradient of zero, so that they decay."""
    unreached = set(_without_gradient(net))
    return [parameter for name, parameter, _ in _named_parameters(net) if name in unreached]


def _without_gradient(net: nn.Module) -> Sequence[str]:
    stated: Sequence[str] = getattr(net, "without_gradient", ())
    return stated if isinstance(stated, tuple | list) else ()


def own_factors(net: nn.Module, name: str) -> tuple[float, float]:
    """The factors of the net's definition on learning rate and weight decay of a parameter, 1 by default."""
    stated: Mapping[str, tuple[float, float]] = getattr(net, "multipliers", {})
    return stated.get(name, (1.0, 1.0)) if isinstance(stated, Mapping) else (1.0, 1.0)


def _trained_parameters(net: nn.Module, recipe: Recipe) -> Iterator[tuple[nn.Parameter, float, float]]:
    """The parameters that are not frozen, each with its factors on learning rate and weight decay."""
    unreached = set(_without_gradient(net))
    for name, parameter, module in _named_parameters(net):
        rate, decay = own_factors(net, name) if recipe.multipliers else (1.0, 1.0)
        if not parameter.requires_grad and (name not in unreached or rate == 0):
            continue
        chosen = Factors()
        last = name.rpartition(".")[2]
        if isinstance(module, _BATCH_NORMS):
            chosen = recipe.batch_norm
        elif last.startswith("bias") or last.endswith("_bias"):
            chosen = recipe.biases
        if chosen.learning_rate is not None:
            rate = chosen.learning_rate
        if chosen.weight_decay is not None:
            decay = chosen.weight_decay
        yield parameter, rate, decay


def _named_parameters(net: nn.Module) -> Iterator[tuple[str, nn.Parameter, nn.Module]]:
    """Each parameter once, under the name that it has without a mask, with the module that holds it."""
    seen: set[int] = set()
    for prefix, module in net.named_modules():
        for own, parameter in module.named_parameters(recurse=False):
            if id(parameter) not in seen:
                seen.add(id(parameter))
                name = own.removesuffix("_orig")
                yield f"{prefix}.{name}" if prefix else name, parameter, module
