"""Convolutions."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from converters.errors import MismatchError
from converters.from_torch7.builder import Builder
from converters.from_torch7.module import Module
from converters.from_torch7.modules.windows import Window, convolution_window, output_sizes
from converters.from_torch7.registry import batch_first, module
from converters.graph import dims, shape_text


def kernel_weight(m: Module, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """A kernel of this shape, which old files and the MM classes keep with its last dimensions folded."""
    array = m.tensor(name)
    if array.shape == (shape[0], int(np.prod(shape[1:]))):
        return array.reshape(shape)
    if array.shape != shape:
        raise m.error(
            MismatchError,
            f"tensor {name!r} is {shape_text(array.shape)}, but the fields ask for {shape_text(shape)}",
        )
    return array


def check_channels(m: Module, x: ir.Value, axis: int, channels: int) -> None:
    """MismatchError if the input has another number of channels than the module."""
    came = dims(x)[axis]
    if isinstance(came, int) and came != channels:
        raise m.error(MismatchError, f"takes {channels} channels, but {came} arrive ({shape_text(dims(x))})")


def convolve(g: Builder, m: Module, x: ir.Value, windows: list[Window], groups: int = 1) -> ir.Value:
    """A convolution of a batched input by the module's weight and bias."""
    inputs, outputs = m.integer("nInputPlane", least=1), m.integer("nOutputPlane", least=1)
    check_channels(m, x, 1, inputs)
    if inputs % groups or outputs % groups:
        raise m.error(MismatchError, f"{inputs} and {outputs} channels do not divide into {groups} groups")
    shape = (outputs, inputs // groups, *(window.kernel for window in windows))
    bias = m.optional_tensor("bias", (outputs,))
    return g.node(
        "Conv",
        x,
        g.weight("weight", kernel_weight(m, "weight", shape)),
        None if bias is None else g.weight("bias", bias),
        shape=(dims(x)[0], outputs, *output_sizes(g, m, dims(x)[2:], windows)),
        kernel_shape=[window.kernel for window in windows],
        strides=[window.stride for window in windows],
        pads=[window.pad for window in windows] * 2,
        dilations=[window.dilation for window in windows],
        group=groups,
    )


@module(
    "SpatialConvolution",
    "SpatialConvolutionMM",
    "SpatialDilatedConvolution",
    name="conv",
    rank=4,
    expects=lambda m: batch_first(m.integer("nInputPlane"), None, None),
)
def spatial_convolution(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """Correlation, as everywhere; cudnn's class has groups, the dilated one dilationW and dilationH."""
    return convolve(g, m, x, [convolution_window(m, side) for side in "HW"], m.integer("groups", 1, least=1))
