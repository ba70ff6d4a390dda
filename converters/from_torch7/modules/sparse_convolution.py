"""Convolutions with weights in a special layout: connection tables, depthwise, unshared, over time."""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir

from converters.errors import FormatError, MismatchError
from converters.from_torch7.backward_shape_inference import batch_first
from converters.from_torch7.builder import Builder
from converters.from_torch7.module import Module
from converters.from_torch7.modules.checks import check_channels, expected_frames, expected_maps
from converters.from_torch7.modules.convolution import bias_of, convolve, convolve_transposed, kernel_weight
from converters.from_torch7.modules.windows import Window, convolution_window, output_sizes
from converters.from_torch7.registry import module
from converters.sizes import dims, shape_text


def dense_kernel(m: Module, inputs_first: bool) -> np.ndarray:
    """A dense kernel from one 2-D kernel for each row of connTable, which is (input, output) from 1.

    inputs_first: inputs x outputs x kernel instead of outputs x inputs x kernel.
    """
    inputs, outputs = m.c_integer("nInputPlane", minimum=1), m.c_integer("nOutputPlane", minimum=1)
    table = m.tensor("connTable")
    if table.ndim != 2 or table.shape[1] != 2:
        raise m.error(FormatError, f"tensor 'connTable' is {shape_text(table.shape)}; expected rows of two")
    kernels = m.tensor("weight", (table.shape[0], m.c_integer("kH", minimum=1), m.c_integer("kW", minimum=1)))
    sources, targets = table[:, 0].astype(np.int64) - 1, table[:, 1].astype(np.int64) - 1
    if not (sources.min() >= 0 and sources.max() < inputs and targets.min() >= 0 and targets.max() < outputs):
        raise m.error(FormatError, "tensor 'connTable' names channels that do not exist")
    shape, places = (
        ((inputs, outputs), (sources, targets)) if inputs_first else ((outputs, inputs), (targets, sources))
    )
    m.check_element_count(inputs, outputs, *kernels.shape[1:])
    dense = np.zeros((*shape, *kernels.shape[1:]), np.float32)
    np.add.at(dense, places, kernels)
    return dense


@module("SpatialConvolutionMap", name="conv", rank=4, expects=expected_maps)
def spatial_convolution_map(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """A convolution in which only the channels of a connection table are connected."""
    windows = [convolution_window(m, side) for side in "HW"]
    weight = g.parameter("weight", dense_kernel(m, inputs_first=False))
    return convolve(g, m, x, weight, bias_of(g, m, m.c_integer("nOutputPlane")), windows)


@module("SpatialFullConvolutionMap", name="deconv", rank=4, expects=expected_maps)
def spatial_full_convolution_map(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """A transposed convolution in which only the channels of a connection table are connected."""
    windows = [convolution_window(m, side) for side in "HW"]
    weight = g.parameter("weight", dense_kernel(m, inputs_first=True))
    return convolve_transposed(g, m, x, weight, bias_of(g, m, m.c_integer("nOutputPlane")), windows, [0, 0])


def reshape_weight(m: Module, name: str, array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A tensor in another shape; MismatchError if the number of elements differs."""
    if array.size != math.prod(shape):
        raise m.error(
            MismatchError, f"tensor {name!r} is {shape_text(array.shape)}; expected {shape_text(shape)}"
        )
    return array.reshape(shape)


@module("SpatialDepthWiseConvolution", name="conv", rank=4, expects=expected_maps)
def spatial_depth_wise_convolution(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """nOutputPlane filters for each input channel, stored as multiplier x channel x kernel.

    Torch's CPU code swaps height and width of inputs that are not square; this is what its GPU code computes.
    """
    windows = [convolution_window(m, side) for side in "HW"]
    inputs, multiplier = m.c_integer("nInputPlane", minimum=1), m.c_integer("nOutputPlane", minimum=1)
    kernel = [window.kernel for window in windows]
    weight = reshape_weight(m, "weight", m.tensor("weight"), (multiplier, inputs, *kernel))
    by_channel = weight.swapaxes(0, 1)
    bias = m.optional_tensor("bias")
    offsets = None
    if bias is not None:
        offsets = g.weight("bias", reshape_weight(m, "bias", bias, (multiplier, inputs)).T.reshape(-1))
    return convolve(
        g, m, x, g.weight("weight", by_channel.reshape(-1, 1, *kernel)), offsets, windows, groups=inputs
    )


@module(
    "SpatialConvolutionLocal",
    name="local",
    rank=4,
    expects=lambda m: batch_first(m.c_integer("nInputPlane"), m.integer("iH"), m.integer("iW")),
)
def spatial_convolution_local(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """A convolution with separate weights at each position: oH x oW x out x in x kH x kW.

    Computed as one matrix product for each position, after gathering the pixels under each window.
    """
    windows = [convolution_window(m, side) for side in "HW"]
    inputs, outputs = m.c_integer("nInputPlane", minimum=1), m.c_integer("nOutputPlane", minimum=1)
    check_channels(m, x, 1, inputs)
    sizes = [m.static_size(size) for size in dims(x)[2:]]
    rows, columns = (m.static_size(size) for size in output_sizes(g, m, tuple(sizes), windows))
    kernel = [window.kernel for window in windows]
    weight = reshape_weight(
        m, "weight", m.tensor("weight"), (rows * columns, outputs, inputs * math.prod(kernel))
    )
    by_position = g.weight("weight", weight)
    if any(window.pad for window in windows):
        x = g.pad(x, [(0, 0), (0, 0), *((window.pad, window.pad) for window in windows)])
    pixels = window_positions(windows, [size + 2 * w.pad for size, w in zip(sizes, windows, strict=True)])
    batch, padded = dims(x)[0], math.prod(m.static_size(size) for size in dims(x)[2:])
    flat = g.reshape(x, (batch, inputs, padded))
    gathered = g.node("Gather", flat, pixels, shape=(batch, inputs, *pixels.shape), axis=2)
    patches = g.reshape(
        g.transpose(gathered, [2, 1, 3, 0]), (rows * columns, inputs * math.prod(kernel), batch)
    )
    products = g.node("MatMul", by_position, patches, shape=(rows * columns, outputs, batch))
    result = g.reshape(g.transpose(products, [2, 1, 0]), (batch, outputs, rows, columns))
    bias = m.optional_tensor("bias", (outputs, rows, columns))
    return result if bias is None else g.binary("Add", result, g.weight("bias", bias))


def window_positions(windows: list[Window], sizes: list[int]) -> np.ndarray:
    """Flat positions of the pixels under each window of an image: windows x kernel elements (int64)."""
    (rows, columns), (height, width) = windows, sizes
    top = np.arange((height - rows.extent) // rows.stride + 1) * rows.stride
    left = np.arange((width - columns.extent) // columns.stride + 1) * columns.stride
    down, across = np.arange(rows.kernel) * rows.dilation, np.arange(columns.kernel) * columns.dilation
    y = top[:, None, None, None] + down[None, None, :, None]
    z = left[None, :, None, None] + across[None, None, None, :]
    return (y * width + z).reshape(len(top) * len(left), -1).astype(np.int64)


@module("TemporalConvolution", "TemporalConvolutionFB", name="conv", rank=3, expects=expected_frames)
def temporal_convolution(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """A convolution over time of N x time x features; the weight is out x (kW x in)."""
    return convolve_frames(g, m, x)


def convolve_frames(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """A convolution over time of N x time x features, with nn's fields."""
    window = convolution_window(m, "W")
    inputs, outputs = m.c_integer("inputFrameSize", minimum=1), m.c_integer("outputFrameSize", minimum=1)
    check_channels(m, x, 2, inputs)
    weight = kernel_weight(m, (outputs, window.kernel, inputs)).swapaxes(1, 2)
    result = convolve(
        g, m, g.transpose(x, [0, 2, 1]), g.weight("weight", weight), bias_of(g, m, outputs), [window]
    )
    return g.transpose(result, [0, 2, 1])


@module("cudnn.TemporalConvolution", name="conv", rank=3)
def cudnn_temporal_convolution(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """A TemporalConvolution with padding; its first version was a 2-D convolution of width 1."""
    window = convolution_window(m, "H")
    outputs, groups = m.c_integer("nOutputPlane", minimum=1), m.integer("groups", 1, minimum=1)
    if m.has("inputFrameSize"):
        inputs = m.c_integer("inputFrameSize", minimum=1)
        weight = kernel_weight(m, (outputs, window.kernel, inputs)).swapaxes(1, 2)
    else:
        inputs = m.c_integer("nInputPlane", minimum=1)
        weight = m.tensor("weight", (outputs, inputs // groups, window.kernel, 1))[..., 0]
    check_channels(m, x, 2, inputs)
    frames_last = g.transpose(x, [0, 2, 1])
    result = convolve(g, m, frames_last, g.weight("weight", weight), bias_of(g, m, outputs), [window], groups)
    return g.transpose(result, [0, 2, 1])


@module("TemporalRowConvolution", name="conv", rank=3, expects=expected_frames)
def temporal_row_convolution(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """A convolution over time, one filter for each feature; with featFirst of N x features x time."""
    window = convolution_window(m, "W")
    features = m.c_integer("inputFrameSize", minimum=1)
    weight = g.weight("weight", kernel_weight(m, (features, 1, window.kernel)))
    if m.flag("featFirst"):
        return convolve(g, m, x, weight, bias_of(g, m, features), [window], features)
    result = convolve(g, m, g.transpose(x, [0, 2, 1]), weight, bias_of(g, m, features), [window], features)
    return g.transpose(result, [0, 2, 1])
