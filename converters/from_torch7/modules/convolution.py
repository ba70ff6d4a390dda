"""Convolutions and transposed convolutions over maps and volumes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from converters.errors import FormatError, MismatchError
from converters.from_torch7.builder import Builder
from converters.from_torch7.module import Module
from converters.from_torch7.modules.checks import (
    check_channels,
    check_rank,
    expected_maps,
    expected_volumes,
    two_tensors,
)
from converters.from_torch7.modules.windows import Window, convolution_window, output_sizes
from converters.from_torch7.registry import module
from converters.sizes import dims, shape_text


def kernel_weight(m: Module, shape: tuple[int, ...]) -> np.ndarray:
    """The weight in this shape; old files and the MM classes store all dimensions but the first as one."""
    array = m.tensor("weight")
    if array.shape not in (shape, (shape[0], math.prod(shape[1:]))):
        raise m.error(
            MismatchError,
            f"tensor 'weight' is {shape_text(array.shape)}, but the fields ask for {shape_text(shape)}",
        )
    return array.reshape(shape)


def bias_of(g: Builder, m: Module, outputs: int) -> ir.Value | None:
    """The bias, if the module has one."""
    bias = m.optional_tensor("bias", (outputs,))
    return None if bias is None else g.weight("bias", bias)


def groups_of(m: Module, inputs: int, outputs: int) -> int:
    """The number of groups (cudnn), which must divide both numbers of channels."""
    groups = m.integer("groups", 1, minimum=1)
    if inputs % groups or outputs % groups:
        raise m.error(MismatchError, f"{inputs} and {outputs} channels do not divide into {groups} groups")
    return groups


def convolve(
    g: Builder, m: Module, x: ir.Value, weight: ir.Value, bias: ir.Value | None, windows: Sequence[Window],
    groups: int = 1,
) -> ir.Value:  # fmt: skip
    """A convolution of a batch; the weight is outputs x inputs / groups x kernel."""
    check_channels(m, x, 1, groups * _size(weight, 1))
    return g.node(
        "Conv",
        x,
        weight,
        bias,
        shape=(dims(x)[0], dims(weight)[0], *output_sizes(g, m, dims(x)[2:], windows)),
        kernel_shape=[window.kernel for window in windows],
        strides=[window.stride for window in windows],
        pads=[window.pad for window in windows] * 2,
        dilations=[window.dilation for window in windows],
        group=groups,
    )


def convolve_by_module(g: Builder, m: Module, x: ir.Value, sides: str) -> ir.Value:
    """A convolution by the weight and bias of the module; sides: "W", "HW" or "THW"."""
    windows = [convolution_window(m, side) for side in sides]
    inputs, outputs = m.c_integer("nInputPlane", minimum=1), m.c_integer("nOutputPlane", minimum=1)
    groups = groups_of(m, inputs, outputs)
    shape = (outputs, inputs // groups, *(window.kernel for window in windows))
    weight = g.weight("weight", kernel_weight(m, shape))
    return convolve(g, m, x, weight, bias_of(g, m, outputs), windows, groups)


@module(
    "SpatialConvolution",
    "SpatialConvolutionMM",
    "SpatialDilatedConvolution",
    "w2nn.EdgeFilter",
    name="conv",
    rank=4,
    expects=expected_maps,
)
def spatial_convolution(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """A convolution, without flipping the kernel; with groups in cudnn, and dilation in the dilated class."""
    return convolve_by_module(g, m, x, "HW")


@module(
    "VolumetricConvolution",
    "VolumetricConvolutionMM",
    "VolumetricDilatedConvolution",
    name="conv",
    rank=5,
    expects=expected_volumes,
)
def volumetric_convolution(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """A convolution over time, height and width."""
    return convolve_by_module(g, m, x, "THW")


def convolve_transposed(
    g: Builder, m: Module, x: ir.Value, weight: ir.Value, bias: ir.Value | None, windows: Sequence[Window],
    extra: Sequence[int], groups: int = 1,
) -> ir.Value:  # fmt: skip
    """A transposed convolution of a batch; the weight is inputs x outputs / groups x kernel.

    extra: rows and columns added at the end of the output (adjH, adjW).
    """
    check_channels(m, x, 1, _size(weight, 0))
    sizes = [
        g.scaled_size(size, window.stride, window.extent - window.stride - 2 * window.pad + more)
        for size, window, more in zip(dims(x)[2:], windows, extra, strict=True)
    ]
    if any(isinstance(size, int) and size < 1 for size in sizes):
        raise m.error(FormatError, f"gives an empty output for an input of {shape_text(dims(x))}")
    return g.node(
        "ConvTranspose",
        x,
        weight,
        bias,
        shape=(dims(x)[0], groups * _size(weight, 1), *sizes),
        kernel_shape=[window.kernel for window in windows],
        strides=[window.stride for window in windows],
        pads=[window.pad for window in windows] * 2,
        output_padding=list(extra) if any(extra) else None,
        dilations=[w.dilation for w in windows] if any(w.dilation > 1 for w in windows) else None,
        group=groups,
    )


def convolve_transposed_by_module(
    g: Builder, m: Module, x: ir.Value | list[ir.Value], sides: str
) -> ir.Value:
    """A transposed convolution by the weight and bias of the module; sides: "HW" or "THW".

    With a table {x, target}, the output gets the size of the target; the values of the target are not used.
    """
    windows = [convolution_window(m, side) for side in sides]
    extra = [m.c_integer(f"adj{side}", 0, minimum=0) for side in sides]
    x, target = two_tensors(m, x) if isinstance(x, list) else (x, None)
    rank = len(sides) + 2
    check_rank(m, x, rank - 1, rank)
    if target is not None:
        if len(dims(target)) < len(sides):
            raise m.error(FormatError, f"a target of {shape_text(dims(target))} has no size to take")
        wanted = [m.static_size(size, "the size of its target") for size in dims(target)[-len(sides) :]]
        extra = [extra_entries(m, side, size) for side, size in zip(sides, wanted, strict=True)]
    inputs, outputs = m.c_integer("nInputPlane", minimum=1), m.c_integer("nOutputPlane", minimum=1)
    groups = groups_of(m, inputs, outputs)
    shape = (inputs, outputs // groups, *(window.kernel for window in windows))
    weight, bias = g.weight("weight", m.tensor("weight", shape)), bias_of(g, m, outputs)
    if len(dims(x)) == rank:
        return convolve_transposed(g, m, x, weight, bias, windows, extra, groups)
    return g.squeeze(convolve_transposed(g, m, g.unsqueeze(x, 0), weight, bias, windows, extra, groups), [0])


def extra_entries(m: Module, side: str, size: int) -> int:
    """What is added along one side to reach this size. Lua computes it, before C cuts off any fractions."""
    kernel, stride = m.number(f"k{side}"), m.number(f"d{side}", 1)
    return int((size + 2 * m.number(f"pad{side}", 0) - kernel) % stride)


@module("SpatialFullConvolution", name="deconv", takes="any", expects=expected_maps)
def spatial_full_convolution(g: Builder, m: Module, x: ir.Value | list[ir.Value]) -> ir.Value:
    """A transposed convolution."""
    return convolve_transposed_by_module(g, m, x, "HW")


@module("VolumetricFullConvolution", name="deconv", takes="any", expects=expected_volumes)
def volumetric_full_convolution(g: Builder, m: Module, x: ir.Value | list[ir.Value]) -> ir.Value:
    """A transposed convolution over time, height and width.

    In old files (without adjW), the weight is outputs x inputs x kernel, and the padding is in pT, pW and pH.
    """
    if not m.has("adjW"):
        m = m.with_tensor("weight", np.swapaxes(m.tensor("weight"), 0, 1))
        m = m.with_renamed_fields({"pT": "padT", "pW": "padW", "pH": "padH"})
    return convolve_transposed_by_module(g, m, x, "THW")


def _size(weight: ir.Value, axis: int) -> int:
    size = dims(weight)[axis]
    assert isinstance(size, int)
    return size
