"""A PyTorch net for inference on a processor, which goes over its values as few times as it can.

Beside its convolutions a net mostly moves values from memory to memory and back. Two of those passes are
not needed: BatchNorm in inference multiplies and adds per channel, which the convolution before it can do
with other weights, and a ReLU can work where its input lies. ONNX Runtime and OpenVINO do the same when they
open a net.

This belongs where a net is opened, not into its file, which keeps the layers of its source and can be
trained.
"""

from __future__ import annotations

import operator
from collections import Counter
from typing import TYPE_CHECKING, Any, TypeGuard

if TYPE_CHECKING:
    from torch import Tensor
    from torch.fx import Node
    from torch.nn import Module
    from torch.nn.modules.batchnorm import _BatchNorm
    from torch.nn.modules.conv import _ConvNd


def reduce_passes(module: Module) -> None:
    """Put BatchNorms into the convolutions before them and let ReLUs work in place, in a net in eval mode.

    A net whose steps depend on the values of its input stays as it is, as do layers that are used twice.
    """
    import torch
    from torch import fx, nn

    try:
        nodes = list(fx.Tracer().trace(module).nodes)
    except (fx.proxy.TraceError, TypeError, ValueError, RuntimeError):  # the steps depend on values
        return
    layers = {node: module.get_submodule(str(node.target)) for node in nodes if node.op == "call_module"}
    uses = Counter(map(id, layers.values()))
    layers = {node: layer for node, layer in layers.items() if uses[id(layer)] == 1}
    # The layers and functions whose result is a new tensor.
    fresh = {
        node for node in nodes if node.op == "call_function" and node.target in (operator.add, torch.cat)
    }
    fresh |= {node for node, layer in layers.items() if _is_convolution(layer) or _is_batch_norm(layer)}
    for node, layer in layers.items():
        before = _only_source(node)
        if before is None:
            continue
        convolution = layers.get(before)
        if _is_batch_norm(layer) and convolution is not None and _is_convolution(convolution):
            _fold(convolution, layer)
            parent, _, name = str(node.target).rpartition(".")
            setattr(module.get_submodule(parent), name, nn.Identity())
        elif type(layer) is nn.ReLU and before in fresh:
            layer.inplace = True


def _only_source(node: Node) -> Node | None:
    """The step whose result goes into this one and nowhere else; None if there is none such."""
    sources = node.all_input_nodes
    return sources[0] if len(sources) == 1 and len(sources[0].users) == 1 else None


def _is_batch_norm(layer: Module) -> TypeGuard[_BatchNorm]:
    """Whether it is one that uses the statistics of its training."""
    from torch import nn

    kinds = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
    return type(layer) in kinds and layer.running_mean is not None


def _is_convolution(layer: Module) -> TypeGuard[_ConvNd]:
    from torch import nn

    return type(layer) in (nn.Conv1d, nn.Conv2d, nn.Conv3d)


def _fold(convolution: _ConvNd, norm: _BatchNorm) -> None:
    """Give a convolution the weights with which it does the BatchNorm too."""
    from torch import nn
    from torch.nn.utils.fusion import fuse_conv_bn_weights

    def double(value: Tensor | None) -> Any:  # noqa: ANN401 - torch's annotations forbid what it documents
        """In double precision, so that each weight is rounded once."""
        return None if value is None else value.detach().double()

    weight, bias = fuse_conv_bn_weights(
        double(convolution.weight),
        double(convolution.bias),
        double(norm.running_mean),
        double(norm.running_var),
        norm.eps,
        double(norm.weight),
        double(norm.bias),
    )
    # New parameters: other layers may share the old ones.
    kind = convolution.weight.dtype
    convolution.weight = nn.Parameter(weight.detach().to(kind))
    convolution.bias = nn.Parameter(bias.detach().to(kind))
