"""From a generated net to the state dict of torchvision's net of its architecture; both are run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zoo.errors import UsageError
from zoo.publication.torchvision import ARCHITECTURES, DEVIATIONS, Layers, layers_of, run
from zoo.verification.difference import BOUND, difference

if TYPE_CHECKING:
    from torch import Tensor, nn

# The parameters of each kind of layer, in torch's names.
KEYS = {
    "conv": ("weight", "bias"),
    "linear": ("weight", "bias"),
    "norm": ("weight", "bias", "running_mean", "running_var"),
}


@dataclass(frozen=True)
class TorchvisionState:
    """A state dict for `torchvision.models.<architecture>`.

    difference: how far torchvision's net is from the net on random numbers, relative to the largest score.
    softmax: whether the net ends with a softmax that torchvision's does not have.
    deviation: what torchvision computes otherwise, in words; None where it computes the same.
    """

    architecture: str
    tensors: dict[str, Tensor]
    difference: float
    softmax: bool
    deviation: str | None = None


def torchvision_state(net: nn.Module, shape: Sequence[int], classes: int, name: str) -> TorchvisionState:
    """The weights of a net for torchvision's net that computes the same.

    net: as a generated file's `load()` returns it. shape: (channels, height, width) of its input.

    Raises:
        UsageError: none of the architectures has the layers of the net, or the one that has them computes
            something else; the message says why for each.
    """
    reasons = {}
    for architecture in ARCHITECTURES:
        layers = layers_of(architecture, classes)
        state, problem = _matched(net, layers)
        if state is not None:
            relative, softmax = _compared(net, architecture, state, shape, classes)
            if relative <= BOUND:
                return TorchvisionState(architecture, state, relative, softmax)
            if architecture in DEVIATIONS:
                as_published, _ = _compared(net, architecture, state, shape, classes, original=True)
                if as_published <= BOUND:
                    return TorchvisionState(architecture, state, relative, softmax, DEVIATIONS[architecture])
            problem = (
                f"its weights fit, but it computes something else: scores differ by {relative:.1e} of the "
            )
            problem += "largest"
        reasons[architecture] = problem
    lines = "\n".join(f"  {architecture}: {reason}" for architecture, reason in reasons.items())
    raise UsageError(f"{name}: torchvision has no net of this architecture\n{lines}")


def _matched(net: nn.Module, layers: Layers) -> tuple[dict[str, Tensor] | None, str]:
    """The state dict, each layer the first one of the net that is left and has its kind and shapes.

    None, and what does not fit, if that is not possible.
    """
    import torch

    own = _own_layers(net)
    state: dict[str, Tensor] = {}
    for name, kind in layers.kinds.items():
        wanted = {key: layers.shapes.get(f"{name}.{key}") for key in KEYS[kind]}
        fitting = (k for k, (its, layer) in enumerate(own) if its == kind and _fits(layer, wanted))
        found = next(fitting, None)
        if found is None:
            shape = "x".join(map(str, wanted["weight"] or ()))
            return None, f"no layer of the net is its {name}, {_WORDS[kind]} with weights {shape}"
        _, layer = own.pop(found)
        state.update({f"{name}.{key}": layer[key] for key, shape in wanted.items() if shape is not None})
        if kind == "norm":
            state[f"{name}.num_batches_tracked"] = torch.tensor(0)
    if own:
        kind, layer = own[0]
        shape = "x".join(map(str, layer["weight"].shape))
        return None, f"the net has {len(own)} more layers, the first {_WORDS[kind]} with weights {shape}"
    return state, ""


_WORDS = {"conv": "a convolution", "linear": "a linear layer", "norm": "a batch normalisation"}


def _own_layers(net: nn.Module) -> list[tuple[str, dict[str, Tensor]]]:
    """Kind and tensors of each layer with weights, in order; other modules have kinds of their own."""
    from torch import nn

    kinds = {nn.Conv2d: "conv", nn.Linear: "linear", nn.BatchNorm2d: "norm"}
    found = []
    for module in net.modules():
        tensors = {
            key: tensor.detach()
            for key, tensor in (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False))
        }
        if tensors:
            found.append((kinds.get(type(module), type(module).__name__), tensors))
    return found


def _fits(layer: dict[str, Tensor], wanted: dict[str, tuple[int, ...] | None]) -> bool:
    """Whether a layer has these tensors. A bias that is wanted of none may be there if it is zero."""
    for key, shape in wanted.items():
        tensor = layer.get(key)
        if shape is None:
            if tensor is not None and bool(tensor.any()):
                return False
        elif tensor is None or tuple(tensor.shape) != shape:
            return False
    return True


def _compared(
    net: nn.Module,
    architecture: str,
    state: dict[str, Tensor],
    shape: Sequence[int],
    classes: int,
    *,
    original: bool = False,
) -> tuple[float, bool]:
    """How far torchvision's net is from the net on random numbers; whether the net ends with a softmax."""
    import torch

    images = torch.randn((2, *shape), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        ours = net(images)
    if not isinstance(ours, torch.Tensor):
        return float("inf"), False
    ours = ours.flatten(1)
    theirs = run(architecture, state, images, classes, original=original)
    # Scores that are all positive and add up to 1 come from a softmax.
    softmax = bool((ours >= 0).all()) and torch.allclose(ours.sum(1), torch.ones(len(ours)), atol=1e-4)
    if softmax:
        theirs = theirs.softmax(1)
    return difference(ours.numpy(), theirs.numpy()).relative, softmax
