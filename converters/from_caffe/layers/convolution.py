"""Convolutions, in any number of spatial axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import onnx_ir as ir

from converters.from_caffe import schema
from converters.from_caffe.bind import BoundLayer, Parameter
from converters.from_caffe.fillers import declared
from converters.from_caffe.layers.activation import fused_relu
from converters.from_caffe.layers.table import layer
from converters.graph import Dim, Graph, Symbol, dims, filled, product


@dataclass(frozen=True)
class Window:
    """Kernel, stride, pad and dilation per spatial axis, as ConvolutionParameter spells them."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    pad: tuple[int, ...]
    dilation: tuple[int, ...]

    @classmethod
    def of(cls, layer: BoundLayer, axes: int) -> Window:
        """Read from the layer's convolution_param, with Caffe's own checks."""
        p = layer.param
        kernel = _per_axis(
            layer, axes, "kernel", p.kernel_size, None, (p.kernel_h, p.kernel_w), _given(p, "kernel")
        )
        stride = _per_axis(layer, axes, "stride", p.stride, 1, (p.stride_h, p.stride_w), _given(p, "stride"))
        pad = _per_axis(layer, axes, "pad", p.pad, 0, (p.pad_h, p.pad_w), _given(p, "pad"))
        dilation = _per_axis(layer, axes, "dilation", p.dilation, 1, (0, 0), False)
        layer.check(all(kernel), f"kernel sizes must not be zero, they are {kernel}")
        layer.check(all(stride), f"strides must not be zero, they are {stride}")
        layer.check(all(dilation), f"dilations must not be zero, they are {dilation}")
        return cls(kernel, stride, pad, dilation)

    @property
    def extent(self) -> tuple[int, ...]:
        """What the dilated kernel spans."""
        return tuple(d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilation, strict=True))


POINT = Window((1,), (1,), (0,), (1,))


def _given(param: schema.Message, what: str) -> bool:
    return bool(param.HasField(f"{what}_h") or param.HasField(f"{what}_w"))


def _per_axis(
    layer: BoundLayer,
    axes: int,
    what: str,
    repeated: schema.Message,
    default: int | None,
    by_name: tuple[int, int],
    named: bool,
) -> tuple[int, ...]:
    """One value per spatial axis from `what` (once or per axis) or `what`_h and `what`_w (2-D only)."""
    values = list(repeated)
    if named:
        layer.check(axes == 2, f"{what}_h and {what}_w are for two spatial axes, there are {axes}")
        layer.check(not values, f"either {what}_size or {what}_h and {what}_w may be given, not both")
        return by_name
    if not values and default is not None:
        values = [default]
    layer.check(len(values) in (1, axes), f"{what} is given {len(values)} times for {axes} spatial axes")
    return tuple(values * axes if len(values) == 1 else values)


@layer("Convolution", param="convolution_param", in_place=False, tops=(1, None))
def convolution(g: Graph, layer: BoundLayer, *bottoms: ir.Value) -> list[ir.Value]:
    """Cross-correlation with `group` groups; several bottoms share the weights."""
    return _apply(g, layer, bottoms, layer.param.group, transposed=False)


@layer("Deconvolution", param="convolution_param", in_place=False, tops=(1, None))
def deconvolution(g: Graph, layer: BoundLayer, *bottoms: ir.Value) -> list[ir.Value]:
    """The transposed convolution; its weights are (channels in, channels out / group, ...)."""
    return _apply(g, layer, bottoms, layer.param.group, transposed=True)


@layer("ConvolutionDepthwise", "DepthwiseConvolution", param="convolution_param", in_place=False)
def depthwise_convolution(g: Graph, layer: BoundLayer, x: ir.Value) -> list[ir.Value]:
    """A convolution with one group per channel, whether or not the definition says so (forks of Caffe)."""
    layer.check(len(dims(x)) == 4, f"takes 4 axes, the bottom has {len(dims(x))}")
    channels = layer.static(dims(x)[1], "the number of channels")
    return _apply(g, layer, (x,), channels, transposed=False)


@layer("Im2col", param="convolution_param", in_place=False)
def im2col(g: Graph, layer: BoundLayer, x: ir.Value) -> ir.Value:
    """Every window as a column: (N, C, H, W) -> (N, C * kh * kw, H', W'), each plane by its unit kernels."""
    shape = dims(x)
    axis = layer.axis(layer.param.axis, len(shape))
    layer.check(axis < len(shape) - 1, f"needs spatial axes behind the channels on axis {axis}")
    window = Window.of(layer, len(shape) - axis - 1)
    taps = math.prod(window.kernel)
    unit = filled((taps, 1, *window.kernel), 0)
    unit.reshape(taps, taps)[range(taps), range(taps)] = 1
    planes = g.reshape(x, (product(shape[: axis + 1]), 1, *shape[axis + 1 :]))
    columns = _convolved(g, layer, planes, window, 1, [g.parameter("unit", unit)], taps, transposed=False)
    return g.reshape(columns, (*shape[:axis], shape[axis] * taps, *dims(columns)[2:]))


def _apply(
    g: Graph, layer: BoundLayer, bottoms: tuple[ir.Value, ...], group: int, *, transposed: bool
) -> list[ir.Value]:
    layer.check(len(bottoms) == layer.top_count, f"{len(bottoms)} bottoms make {layer.top_count} tops")
    p = layer.param
    if p.tf_pad:
        raise layer.unsupported("tf_pad is a fork's switch whose rule is not published")
    first = dims(bottoms[0])
    layer.check(all(dims(x) == first for x in bottoms), "all bottoms must have one shape")
    axis = layer.axis(p.axis, len(first))
    spatial = len(first) - axis - 1
    window = Window.of(layer, spatial)
    channels, outputs = layer.static(first[axis], "the number of channels"), p.num_output
    layer.check(outputs > 0, "num_output must be positive")
    layer.check(group > 0, "group must be positive")
    layer.check(channels % group == 0, f"group {group} does not divide the {channels} channels")
    layer.check(outputs % group == 0, f"group {group} does not divide num_output {outputs}")
    weight_shape = (channels, outputs // group) if transposed else (outputs, channels // group)
    wanted = [Parameter("weight", weight_shape + window.kernel, declared(p, "weight_filler"))]
    if p.bias_term:
        wanted.append(Parameter("bias", (outputs,), p.bias_filler))
    weight, *bias = layer.parameters(*wanted)
    if spatial == 0:
        # ONNX has at least one spatial axis: one of size 1 stands in.
        window, weight = POINT, weight[..., None]
        bottoms = tuple(g.reshape(x, (*first, 1)) for x in bottoms)
    parameters = [g.parameter(w.name, array) for w, array in zip(wanted, [weight, *bias], strict=True)]
    tops = [
        _one(g, layer, x, axis, window, group, parameters, outputs, transposed=transposed) for x in bottoms
    ]
    return [fused_relu(g, layer, y if spatial else g.reshape(y, dims(y)[:-1])) for y in tops]


def _one(
    g: Graph,
    layer: BoundLayer,
    x: ir.Value,
    axis: int,
    window: Window,
    group: int,
    parameters: list[ir.Value],
    outputs: int,
    *,
    transposed: bool,
) -> ir.Value:
    shape = dims(x)
    # ONNX has one batch axis: fold the axes before the channels into it, and out again.
    flat = g.reshape(x, (product(shape[:axis]), *shape[axis:]))
    y = _convolved(g, layer, flat, window, group, parameters, outputs, transposed=transposed)
    return g.reshape(y, (*shape[:axis], *dims(y)[1:]))


def _convolved(
    g: Graph,
    layer: BoundLayer,
    x: ir.Value,
    window: Window,
    group: int,
    parameters: list[ir.Value],
    outputs: int,
    *,
    transposed: bool,
) -> ir.Value:
    """x (batch, channels, ...) to (batch, outputs, ...)."""
    batch, _, *sizes = dims(x)
    size_of = _transposed_size if transposed else _size
    ends = window.pad if transposed else _end_pads(sizes, window)
    return g.node(
        "ConvTranspose" if transposed else "Conv",
        x,
        *parameters,
        shape=(batch, outputs, *(size_of(layer, size, window, k) for k, size in enumerate(sizes))),
        kernel_shape=window.kernel,
        strides=window.stride if set(window.stride) != {1} else None,
        pads=(*window.pad, *ends) if any((*window.pad, *ends)) else None,
        dilations=window.dilation if set(window.dilation) != {1} else None,
        group=group if group != 1 else None,
    )


def _size(layer: BoundLayer, size: Dim, window: Window, k: int) -> Dim:
    if isinstance(size, Symbol):
        kept = window.stride[k] == 1 and 2 * window.pad[k] == window.extent[k] - 1
        return size if kept else layer.windows(size, k)
    span = size + 2 * window.pad[k] - window.extent[k]
    # Caffe's division rounds towards zero: a kernel that hangs over by less than its stride finds a place.
    layer.check(
        span > -window.stride[k],
        f"the kernel spans {window.extent[k]}, more than the padded input of size {size}",
    )
    return max(span, 0) // window.stride[k] + 1


def _end_pads(sizes: Sequence[Dim], window: Window) -> tuple[int, ...]:
    """The padding at the end of each axis, with what a kernel larger than the padded input hangs over."""
    return tuple(
        pad if isinstance(size, Symbol) else pad + max(0, extent - size - 2 * pad)
        for size, extent, pad in zip(sizes, window.extent, window.pad, strict=True)
    )


def _transposed_size(layer: BoundLayer, size: Dim, window: Window, k: int) -> Dim:
    if isinstance(size, Symbol):
        return layer.windows(size, k)
    result = window.stride[k] * (size - 1) + window.extent[k] - 2 * window.pad[k]
    layer.check(result > 0, f"the padding {window.pad[k]} leaves nothing of the output")
    return result
