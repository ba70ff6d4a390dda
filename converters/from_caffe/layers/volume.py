"""Convolution over time and space (C3D)."""

from __future__ import annotations

import onnx_ir as ir

from converters.from_caffe.bind import BoundLayer, Parameter
from converters.from_caffe.fillers import declared
from converters.from_caffe.layers.stored import vector
from converters.from_caffe.layers.table import layer
from converters.graph import Graph, dims, shape_text


@layer("Convolution3D", param="convolution3d_param", in_place=False)
def convolution_3d(g: Graph, layer: BoundLayer, x: ir.Value) -> ir.Value:
    """Cross-correlation over (N, C, length, height, width); filter_group changes no number."""
    p, shape = layer.param, dims(x)
    layer.check(
        len(shape) == 5, f"takes 5 axes (num, channels, length, height, width), not {shape_text(shape)}"
    )
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
    wanted = [Parameter("weight", (p.num_output, channels, *kernel), declared(p, "weight_filler"))]
    if p.bias_term:
        wanted.append(vector(layer, 1, "bias", p.num_output, p.bias_filler))
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
