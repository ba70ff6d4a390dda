"""Convolutions of forks: depthwise ones, and those over time and space (C3D)."""

from __future__ import annotations

import onnx_ir as ir

from converters.from_caffe import schema
from converters.from_caffe.bound_layer import BoundLayer, Parameter
from converters.from_caffe.fillers import declared_filler
from converters.from_caffe.layers.bvlc.convolution import bottom_of_weight, convolve
from converters.from_caffe.layers.checks import image_axes, named_axes
from converters.from_caffe.layers.parameters import vector_parameter
from converters.from_caffe.layers.registry import layer
from converters.graph import Graph
from converters.sizes import shape_text


def _bottom_of_depthwise_weight(param: schema.Message, shape: tuple[int, ...]) -> tuple[int, int] | None:
    """Of a definition that states no group, the weight has one row for each channel."""
    if param.group == 1 and len(shape) > 2:
        return shape[0], len(shape)
    return bottom_of_weight(param, shape)


@layer(
    "ConvolutionDepthwise",
    "DepthwiseConvolution",
    param="convolution_param",
    in_place=False,
    bottom_of_blob=_bottom_of_depthwise_weight,
)
def depthwise_convolution(g: Graph, layer: BoundLayer, x: ir.Value) -> list[ir.Value]:
    """A convolution with one group per channel, whether or not the definition says so (forks of Caffe)."""
    channels = layer.static(image_axes(layer, x)[1], "the number of channels")
    return convolve(g, layer, (x,), channels, transposed=False)


@layer("Convolution3D", param="convolution3d_param", fork_field_numbers=(147, 6661), in_place=False)
def convolution_3d(g: Graph, layer: BoundLayer, x: ir.Value) -> ir.Value:
    """Cross-correlation over (N, C, length, height, width); filter_group changes no number."""
    p, shape = layer.param, named_axes(layer, x, "num", "channels", "length", "height", "width")
    layer.check(p.num_output > 0, "num_output must be positive")
    if p.group != 1:
        raise layer.unsupported("group is declared but used by no public Convolution3D")
    channels, *volume = (layer.static(size, "the sizes of its bottom") for size in shape[1:])
    kernel = (p.kernel_depth, p.kernel_size, p.kernel_size)
    strides = (p.temporal_stride, p.stride, p.stride)
    pads = (p.temporal_pad, p.pad, p.pad)
    layer.check(min(kernel) > 0 and min(strides) > 0, "kernel sizes and strides must be positive")
    sizes = [
        (size + 2 * pad - extent) // stride + 1
        for size, pad, extent, stride in zip(volume, pads, kernel, strides, strict=True)
    ]
    layer.check(min(sizes) > 0, f"a kernel of {kernel} does not fit into the padded {shape_text(volume)}")
    wanted = [Parameter("weight", (p.num_output, channels, *kernel), declared_filler(p, "weight_filler"))]
    if p.bias_term:
        wanted.append(vector_parameter(layer, 1, "bias", p.num_output, p.bias_filler))
    weight, *bias = layer.parameters(*wanted)
    return g.node(
        "Conv",
        x,
        g.parameter("weight", weight),
        *(g.parameter("bias", values.reshape(-1)) for values in bias),
        shape=(shape[0], p.num_output, *sizes),
        kernel_shape=kernel,
        strides=strides,
        pads=pads * 2 if any(pads) else None,
    )
