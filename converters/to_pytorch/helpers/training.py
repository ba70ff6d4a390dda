"""What a net.py offers for training, where its source states more than the usual."""

from __future__ import annotations

from torch import nn


def parameter_groups(
    net: nn.Module, lr: float, weight_decay: float = 0.0
) -> list[dict[str, object]]:
    """Groups of parameters for torch.optim.SGD, with the factors of the source.

    Parameters whose learning rate has the factor 0 are frozen, and left out.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in net.named_parameters():
        factors = getattr(net, "multipliers", {}).get(name, (1.0, 1.0))
        groups.setdefault(factors, []).append(parameter)
    return [
        {"params": parameters, "lr": lr * rate, "weight_decay": weight_decay * decay}
        for (rate, decay), parameters in groups.items()
        if rate
    ]
