"""The masks of the sparse phase: which weights are held at zero, and that they are.

Pruned are the weight tensors of convolutions, inner products and recurrent layers; biases and batch
normalisation are not (Han et al., ICLR 2017). Of each tensor the weights of the largest magnitude are kept;
of equal magnitudes, those that come first. The matrices of the gates of an LSTM or GRU count as one tensor
each, although torch stores them as one.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from zoo.errors import UsageError, ZooError

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

    from zoo.training.recipe import Pruning, Rounding

_RECURRENT = re.compile(r"weight_(?:ih|hh|hr)_l\d+(?:_reverse)?")


class MaskError(ZooError):
    """A pruned weight is not zero: a fault of the training loop, which must never go unseen."""

    exit_code = 1


@dataclass(frozen=True)
class PrunableTensor:
    """A parameter of a module that pruning applies to.

    layer: the name of the module in the net; for a parameter of the net itself that of the parameter.
    parts: how many tensors of equal size it holds along its first axis: the gates.
    """

    module: Module
    name: str
    layer: str
    parts: int = 1

    @property
    def values(self) -> Tensor:
        """The parameter that is trained; while a mask is on, torch calls it `<name>_orig`."""
        masked = f"{self.name}_orig"
        values: Tensor = getattr(self.module, masked if hasattr(self.module, masked) else self.name)
        return values


def prunable_tensors(net: Module) -> list[PrunableTensor]:
    """The parameters of a net that pruning applies to, in the order of its modules."""
    from torch import nn

    layered = (
        *(nn.Linear, nn.Bilinear, nn.Conv1d, nn.Conv2d, nn.Conv3d),
        *(nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d),
    )
    found = []
    for layer, module in net.named_modules():
        if isinstance(module, layered):
            found.append(PrunableTensor(module, "weight", layer))
        elif isinstance(module, nn.RNNBase):
            parts = {"LSTM": 4, "GRU": 3}.get(module.mode, 1)
            names = [name for name, _ in module.named_parameters(recurse=False) if _RECURRENT.fullmatch(name)]
            # hr, the projection of an LSTM's state, is no gate.
            found += [PrunableTensor(module, name, layer, 1 if "_hr_" in name else parts) for name in names]
    # Matrices that the net holds itself, such as those of a recurrent layer that torch has no module for.
    known = {id(tensor.values) for tensor in found}
    stated = getattr(net, "gates", None)
    gates: Mapping[str, int] = stated if isinstance(stated, Mapping) else {}
    for name, parameter in net.named_parameters(recurse=False):
        if parameter.ndim == 2 and min(parameter.shape) > 1 and id(parameter) not in known:
            found.append(PrunableTensor(net, name, name, gates.get(name, 1)))
    return found


def chosen_sparsities(tensors: Sequence[PrunableTensor], pruning: Pruning) -> list[float]:
    """The sparsity of each tensor; 0 for a frozen one, whose pruned weights could not be trained again.

    UsageError for a layer in the recipe that the net does not have, or that is frozen.
    """
    layers = {_identifier(tensor.layer) for tensor in tensors}
    for name in (*pruning.by_layer, *pruning.exclude):
        if _identifier(name) not in layers:
            names = [tensor.layer for tensor in tensors]
            near = difflib.get_close_matches(name, names, 3) or names[:10]
            raise UsageError(
                f"the recipe names the layer '{name}', and no layer with weights to prune is called so; "
                f"there are {', '.join(near)}"
            )
    frozen = {_identifier(tensor.layer) for tensor in tensors if not tensor.values.requires_grad}
    for name in pruning.by_layer:
        if _identifier(name) in frozen:
            raise UsageError(
                f"the recipe prunes the layer '{name}', whose weights the definition of the net freezes "
                "(lr_mult: 0) or lets no gradient reach (propagate_down: false); leave it out, or for "
                "lr_mult give multipliers = false"
            )
    by_layer = {_identifier(name): share for name, share in pruning.by_layer.items()}
    excluded = {_identifier(name) for name in pruning.exclude}
    return [
        0.0 if key in excluded or not tensor.values.requires_grad else by_layer.get(key, pruning.sparsity)
        for key, tensor in ((_identifier(tensor.layer), tensor) for tensor in tensors)
    ]


def _identifier(layer: str) -> str:
    """A layer's name as the generated net spells it: fire2/squeeze1x1 is fire2_squeeze1x1 there."""
    return re.sub(r"\W", "_", layer)


def pruned_count(size: int, sparsity: float, rounding: Rounding = "down") -> int:
    """How many of `size` weights are set to zero: the share as written, rounded; a half is rounded up."""
    exact = Fraction(repr(sparsity)) * size
    return int(exact + Fraction(1, 2)) if rounding == "nearest" else int(exact)


def mask_of(weights: Tensor, sparsity: float, parts: int = 1, rounding: Rounding = "down") -> Tensor:
    """True where a weight is kept; same shape. Each of `parts` along the first axis is a tensor of its own.

    Exactly `pruned_count` weights of each part are not kept. ValueError for a weight that is no number.
    """
    import torch

    if not torch.isfinite(weights).all():
        raise ValueError("a weight is infinite or not a number")
    rows = weights.detach().abs().reshape(parts, -1)
    # Stable, so that of equal magnitudes the first ones are kept.
    order = rows.sort(dim=1, descending=True, stable=True).indices
    mask = torch.ones_like(rows, dtype=torch.bool)
    kept = rows.shape[1] - pruned_count(rows.shape[1], sparsity, rounding)
    mask.scatter_(1, order[:, kept:], False)
    return mask.reshape(weights.shape)


class Masks:
    """The masks of a net, on: between construction and `remove`, pruned weights are zero.

    The masks are those of `torch.nn.utils.prune`, so that gradients of pruned weights are zero. The trained
    parameter is zero there as well, and an optimiser that starts with empty momentum keeps it so: weight
    decay of zero is zero.
    """

    def __init__(
        self,
        tensors: Sequence[PrunableTensor],
        sparsities: Sequence[float],
        rounding: Rounding = "down",
    ) -> None:
        import torch
        from torch.nn.utils import prune

        self._pruned: list[tuple[PrunableTensor, Tensor]] = []
        for tensor, sparsity in zip(tensors, sparsities, strict=True):
            if not pruned_count(tensor.values.numel() // tensor.parts, sparsity, rounding):
                continue
            try:
                mask = mask_of(tensor.values, sparsity, tensor.parts, rounding)
            except ValueError as error:
                raise UsageError(
                    f"layer {tensor.layer}: {error}: the training has diverged; lower the learning rate"
                ) from error
            prune.custom_from_mask(tensor.module, tensor.name, mask)  # type: ignore[no-untyped-call]
            with torch.no_grad():
                tensor.values.masked_fill_(~mask, 0)
            self._pruned.append((tensor, mask.to(tensor.values.device)))

    @property
    def pruned(self) -> int:
        """The number of weights that are held at zero."""
        return sum(mask.numel() - int(mask.sum()) for _, mask in self._pruned)

    def check(self) -> None:
        """MaskError unless every pruned weight is exactly zero."""
        import torch

        # One number for all tensors, so that a GPU is asked once.
        left = [
            torch.count_nonzero(tensor.values.detach().masked_fill(mask, 0)) for tensor, mask in self._pruned
        ]
        if left and int(torch.stack(left).sum()):
            names = [t.layer for (t, _), count in zip(self._pruned, left, strict=True) if int(count)]
            raise MaskError(f"pruned weights of {', '.join(names)} are not zero after a step")

    def remove(self) -> None:
        """Take the masks off; pruned weights are exactly zero and can be trained again."""
        from torch.nn.utils import prune

        for tensor, _ in self._pruned:
            prune.remove(tensor.module, tensor.name)  # type: ignore[no-untyped-call]
        self._pruned = []
