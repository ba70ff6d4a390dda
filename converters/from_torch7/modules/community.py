"""Classes outside torch/nn that widely used models contain: dpnn (OpenFace), fast-neural-style."""

from __future__ import annotations

import onnx_ir as ir

from converters.from_torch7.builder import Builder
from converters.from_torch7.expectation import PASS, batch_first
from converters.from_torch7.handles import Nest
from converters.from_torch7.module import Module
from converters.from_torch7.modules.convolution import check_channels
from converters.from_torch7.modules.padding import pad_or_crop
from converters.from_torch7.modules.wrappers import wrapped, wrapped_expects
from converters.from_torch7.net import Net
from converters.from_torch7.registry import module, structure


@structure("Inception", expects=wrapped_expects)
def inception(net: Net, m: Module, x: Nest) -> Nest:
    """dpnn's: a DepthConcat of columns, kept as the module inside."""
    return net.run(wrapped(m), x)


@structure("TotalVariation", expects=PASS)
def total_variation(net: Net, m: Module, x: Nest) -> Nest:
    """The input itself; a regulariser of training."""
    return x


@module("ShaveImage", name="crop", rank=4, expects=batch_first(None, None, None))
def shave_image(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """The image without `size` pixels at each side."""
    size = m.integer("size", least=0)
    return pad_or_crop(g, m, x, [(-size, -size)] * 2)


@module(
    "InstanceNormalization",
    name="instancenorm",
    rank=4,
    expects=lambda m: batch_first(m.integer("nOutput"), None, None),
)
def instance_normalization(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """Each channel of each image normalised by its own statistics, in evaluation too (fast-neural-style).

    Classes of the same name that keep running statistics disagree on what evaluation does.
    """
    if m.has("running_mean"):
        raise m.unsupported("it keeps running statistics, and classes of this name use them differently")
    if m.flag("disabled"):
        return x
    channels = m.integer("nOutput", least=1)
    check_channels(m, x, 1, channels)
    weight, bias = (g.weight(name, m.tensor(name, (channels,))) for name in ("weight", "bias"))
    return g.node("InstanceNormalization", x, weight, bias, epsilon=m.number("eps", 1e-5))
