"""The layers of happynear's fork for face recognition that compute something at inference."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from converters.from_caffe.bound_layer import BoundLayer, Parameter
from converters.from_caffe.fillers import declared_filler
from converters.from_caffe.layers.checks import fixed_image
from converters.from_caffe.layers.parameters import unit_rows
from converters.from_caffe.layers.registry import layer
from converters.graph import Graph, scalar
from converters.graph_bounds import filled
from converters.sizes import dims, product, shape_text


@layer(
    "ChannelScale",
    param="channel_scale_param",
    fork_field_numbers=(237,),
    fork_message_fields={
        237: {
            1: ("do_forward",),
            2: ("do_backward_feature",),
            3: ("do_backward_scale",),
            4: ("global_scale",),
            5: ("max_global_scale",),
            6: ("min_global_scale",),
            7: ("init_global_scale",),
        }
    },
)
def channel_scale(g: Graph, layer: BoundLayer, x: ir.Value, scale: ir.Value) -> ir.Value:
    """All channels of a pixel times the scale of that pixel; with global_scale, all times one learned value.

    The learned value is limited to min_global_scale and max_global_scale.
    """
    p = layer.param
    if p.global_scale:
        (value,) = layer.parameters(Parameter("scale", (1,)))
        limited = max(min(value[0], np.float32(p.max_global_scale)), np.float32(p.min_global_scale))
        return g.node("Mul", x, scalar(float(limited))) if p.do_forward else x
    shape = (dims(x)[0], 1, *dims(x)[2:])
    layer.check(
        product(dims(scale)) == product(shape),
        f"the scale must be {shape_text(shape)}, it is {shape_text(dims(scale))}",
    )
    return g.node("Mul", x, g.reshape(scale, shape)) if p.do_forward else x


@layer(
    "Truncation",
    param="truncation_param",
    fork_field_numbers=(225,),
    fork_message_fields={225: {1: ("lower_bound",), 2: ("upper_bound",)}},
)
def truncation(g: Graph, layer: BoundLayer, x: ir.Value) -> ir.Value:
    """min(max(x, lower_bound), upper_bound); the bounds are 0 and 5 unless given."""
    p = layer.param
    return g.node("Min", g.node("Max", x, scalar(p.lower_bound)), scalar(p.upper_bound))


@layer("Slope", in_place=False)
def slope(g: Graph, layer: BoundLayer, x: ir.Value) -> ir.Value:
    """x with two more channels: the row divided by the height and the column divided by the width."""
    n, channels, height, width = fixed_image(layer, x)
    layer.check_computed(height, width)
    rows, columns = np.meshgrid(np.arange(height) / height, np.arange(width) / width, indexing="ij")
    places = g.constant(np.stack([rows, columns]).astype(np.float32)[None])
    shape = g.node("Shape", x, shape=(1,), dtype=ir.DataType.INT64, start=0, end=1)
    wanted = g.node("Concat", shape, np.array([2, height, width], np.int64), shape=(4,), axis=0)
    each = g.node("Expand", places, wanted, shape=(n, 2, height, width))
    return g.node("Concat", x, each, shape=(n, channels + 2, height, width), axis=1)


@layer("Gram", in_place=False)
def gram(g: Graph, layer: BoundLayer, x: ir.Value) -> ir.Value:
    """Products of every channel with every other, averaged over pixels and channels: (N, C, C, 1)."""
    n, channels, height, width = fixed_image(layer, x)
    rows = g.reshape(x, (n, channels, height * width))
    columns = g.node("Transpose", rows, shape=(n, height * width, channels), perm=(0, 2, 1))
    products = g.node("MatMul", rows, columns, shape=(n, channels, channels))
    mean = g.node("Mul", products, scalar(1 / (height * width * channels)))
    return g.reshape(mean, (n, channels, channels, 1))


@layer(
    "InnerDistance",
    param="inner_distance_param",
    fork_field_numbers=(213,),
    fork_message_fields={
        213: {
            1: ("num_output",),
            2: ("bias_term",),
            3: ("weight_filler",),
            4: ("bias_filler",),
            5: ("axis",),
            6: ("transpose",),
            7: ("distance_type",),
            8: ("normalize",),
        }
    },
    in_place=False,
)
def inner_distance(g: Graph, layer: BoundLayer, x: ir.Value) -> ir.Value:
    """The distance of everything from `axis` on to each row of the weight: squared L2, or L1.

    Its fork declares bias_term and never reads it: the layer has one blob.
    """
    p, shape = layer.param, dims(x)
    axis = layer.axis(p.axis, len(shape))
    layer.check(p.num_output > 0, "num_output must be positive")
    layer.check(p.distance_type in ("L2", "L1"), f"distance_type must be L2 or L1, it is {p.distance_type!r}")
    layer.check(not p.transpose, "transpose is not implemented in its fork")
    inputs = layer.static(product(shape[axis:]), f"the size of the axes from {axis} on")
    wanted = Parameter("weight", (p.num_output, inputs), declared_filler(p, "weight_filler"))
    (weight,) = layer.parameters(wanted)
    if p.normalize:
        weight = unit_rows(weight)
    rows = product(shape[:axis])
    apart = g.node(
        "Sub",
        g.reshape(x, (rows, 1, inputs)),
        g.parameter("weight", weight),
        shape=(rows, p.num_output, inputs),
    )
    operator = "ReduceSumSquare" if p.distance_type == "L2" else "ReduceL1"
    distance = g.node(operator, apart, np.array([2], np.int64), shape=(rows, p.num_output), keepdims=0)
    return g.reshape(distance, (*shape[:axis], p.num_output))


@layer("Local", param="local_param", fork_field_numbers=(201,), in_place=False)
def local(g: Graph, layer: BoundLayer, x: ir.Value) -> ir.Value:
    """A convolution whose weights differ from place to place."""
    p = layer.param
    n, channels, height, width = fixed_image(layer, x)
    layer.check(
        min(p.kernel_size, p.num_output, p.stride) > 0, "kernel_size, num_output and stride must be positive"
    )
    layer.check(
        min(height, width) >= p.kernel_size, f"the kernel {p.kernel_size} is larger than {height}x{width}"
    )
    rows, columns = ((size + 2 * p.pad - p.kernel_size) // p.stride + 1 for size in (height, width))
    places, taps = rows * columns, channels * p.kernel_size**2
    wanted = [Parameter("weight", (p.num_output, 1, taps, places), declared_filler(p, "weight_filler"))]
    if p.bias_term:
        wanted.append(Parameter("bias", (1, 1, p.num_output, places), p.bias_filler))
    weight, *bias = layer.parameters(*wanted)
    windows = g.reshape(_windows(g, layer, x, (rows, columns)), (n, taps, places))
    by_place = g.node("Transpose", windows, shape=(places, n, taps), perm=(2, 0, 1))
    matrices = weight[:, 0].transpose(2, 1, 0).copy()
    y = g.node("MatMul", by_place, g.parameter("weight", matrices), shape=(places, n, p.num_output))
    y = g.node("Transpose", y, shape=(n, p.num_output, places), perm=(1, 2, 0))
    if bias:
        y = g.node("Add", y, g.parameter("bias", bias[0].reshape(p.num_output, places)))
    return g.reshape(y, (n, p.num_output, rows, columns))


def _windows(g: Graph, layer: BoundLayer, x: ir.Value, size: tuple[int, int]) -> ir.Value:
    """Every window as a column. Each unit kernel is 1 at one place, and picks this place of every window."""
    p, (n, channels, _, _) = layer.param, fixed_image(layer, x)
    taps = p.kernel_size**2
    layer.check_computed(channels, taps, taps)
    unit = filled((channels, taps, taps), 0)
    unit[:, range(taps), range(taps)] = 1
    return g.node(
        "Conv",
        x,
        g.parameter("unit", unit.reshape(channels * taps, 1, p.kernel_size, p.kernel_size)),
        shape=(n, channels * taps, *size),
        kernel_shape=(p.kernel_size,) * 2,
        strides=(p.stride,) * 2,
        pads=(p.pad,) * 4 if p.pad else None,
        group=channels,
    )
