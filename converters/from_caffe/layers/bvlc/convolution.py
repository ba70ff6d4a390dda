"""Convolutions, in any number of spatial axes."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import onnx_ir as ir

from converters.from_caffe import schema
from converters.from_caffe.bound_layer import BoundLayer, Parameter
from converters.from_caffe.fillers import declared_filler
from converters.from_caffe.layers.fused_relu import fused_relu
from converters.from_caffe.layers.registry import layer
from converters.graph import Graph
from converters.graph_bounds import filled
from converters.sizes import Dim, Symbol, dims, product


@dataclass(frozen=True)
class KernelGeometry:
    """Kernel, stride, pad and dilation of a convolution: one number per spatial axis."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    pad: tuple[int, ...]
    dilation: tuple[int, ...]

    @classmethod
    def of(cls, layer: BoundLayer, axes: int) -> KernelGeometry:
        """The geometry in convolution_param, for this number of spatial axes, with Caffe's checks."""
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

    @functools.cached_property
    def extent(self) -> tuple[int, ...]:
        """The size of the dilated kernel along each axis."""
        return tuple(d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilation, strict=True))


POINT = KernelGeometry((1,), (1,), (0,), (1,))


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
    """One value per spatial axis, from `what` (given once or per axis) or `what`_h and `what`_w (2-D)."""
    values = list(repeated)
    if named:
        layer.check(axes == 2, f"{what}_h and {what}_w are for two spatial axes, there are {axes}")
        layer.check(not values, f"either {what}_size or {what}_h and {what}_w may be given, not both")
        return by_name
    if not values and default is not None:
        values = [default]
    layer.check(len(values) in (1, axes), f"{what} is given {len(values)} times for {axes} spatial axes")
    return tuple(values * axes if len(values) == 1 else values)


def bottom_of_weight(param: schema.Message, shape: tuple[int, ...]) -> tuple[int, int] | None:
    """(channels, axes) of the bottom that a stored weight (outputs, channels / group, ...) is for."""
    return (shape[1] * param.group, len(shape)) if len(shape) > 2 else None


def _bottom_of_transposed_weight(param: schema.Message, shape: tuple[int, ...]) -> tuple[int, int] | None:
    return (shape[0], len(shape)) if len(shape) > 2 else None


@layer(
    "Convolution", param="convolution_param", in_place=False, tops=(1, None), bottom_of_blob=bottom_of_weight
)
def convolution(g: Graph, layer: BoundLayer, *bottoms: ir.Value) -> list[ir.Value]:
    """Cross-correlation with `group` groups; several bottoms share the weights."""
    return convolve(g, layer, bottoms, layer.param.group, transposed=False)


@layer(
    "Deconvolution",
    param="convolution_param",
    in_place=False,
    tops=(1, None),
    bottom_of_blob=_bottom_of_transposed_weight,
)
def deconvolution(g: Graph, layer: BoundLayer, *bottoms: ir.Value) -> list[ir.Value]:
    """The transposed convolution; its weights are (channels in, channels out / group, ...)."""
    return convolve(g, layer, bottoms, layer.param.group, transposed=True)


@layer("Im2col", param="convolution_param", in_place=False)
def im2col(g: Graph, layer: BoundLayer, x: ir.Value) -> ir.Value:
    """Every window as a column: (N, C, H, W) -> (N, C * kh * kw, H', W')."""
    shape = dims(x)
    axis = layer.axis(layer.param.axis, len(shape))
    layer.check(axis < len(shape) - 1, f"needs spatial axes behind the channels on axis {axis}")
    geometry = KernelGeometry.of(layer, len(shape) - axis - 1)
    taps = math.prod(geometry.kernel)
    # Convolving a plane with the kernel that is 1 at one place gives that place of every window.
    unit = filled((taps, 1, *geometry.kernel), 0)
    unit.reshape(taps, taps)[range(taps), range(taps)] = 1
    planes = g.reshape(x, (product(shape[: axis + 1]), 1, *shape[axis + 1 :]))
    columns = _convolved(g, layer, planes, geometry, 1, [g.parameter("unit", unit)], taps, transposed=False)
    return g.reshape(columns, (*shape[:axis], shape[axis] * taps, *dims(columns)[2:]))


def convolve(
    g: Graph, layer: BoundLayer, bottoms: tuple[ir.Value, ...], group: int, *, transposed: bool
) -> list[ir.Value]:
    """The convolution, or transposed convolution, of each bottom with the weights, in `group` groups."""
    layer.check(len(bottoms) == layer.top_count, f"{len(bottoms)} bottoms make {layer.top_count} tops")
    p = layer.param
    if p.tf_pad:
        raise layer.unsupported("tf_pad is a fork's switch whose rule is not published")
    first = dims(bottoms[0])
    layer.check(all(dims(x) == first for x in bottoms), "all bottoms must have one shape")
    axis = layer.axis(p.axis, len(first))
    spatial = len(first) - axis - 1
    geometry = KernelGeometry.of(layer, spatial)
    channels, outputs = layer.static(first[axis], "the number of channels"), p.num_output
    layer.check(outputs > 0, "num_output must be positive")
    layer.check(group > 0, "group must be positive")
    layer.check(channels % group == 0, f"group {group} does not divide the {channels} channels")
    layer.check(outputs % group == 0, f"group {group} does not divide num_output {outputs}")
    weight_shape = (channels, outputs // group) if transposed else (outputs, channels // group)
    wanted = [Parameter("weight", weight_shape + geometry.kernel, declared_filler(p, "weight_filler"))]
    if p.bias_term:
        wanted.append(Parameter("bias", (outputs,), p.bias_filler))
    weight, *bias = layer.parameters(*wanted)
    if spatial == 0:
        # ONNX needs a spatial axis: add one of size 1.
        geometry, weight = POINT, weight[..., None]
        bottoms = tuple(g.reshape(x, (*first, 1)) for x in bottoms)
    parameters = [g.parameter(w.name, array) for w, array in zip(wanted, [weight, *bias], strict=True)]
    tops = [
        _one(g, layer, x, axis, geometry, group, parameters, outputs, transposed=transposed) for x in bottoms
    ]
    return [fused_relu(g, layer, y if spatial else g.reshape(y, dims(y)[:-1])) for y in tops]


def _one(
    g: Graph,
    layer: BoundLayer,
    x: ir.Value,
    axis: int,
    geometry: KernelGeometry,
    group: int,
    parameters: list[ir.Value],
    outputs: int,
    *,
    transposed: bool,
) -> ir.Value:
    shape = dims(x)
    # ONNX has one batch axis: the axes before the channels become one, and are restored afterwards.
    flat = g.reshape(x, (product(shape[:axis]), *shape[axis:]))
    y = _convolved(g, layer, flat, geometry, group, parameters, outputs, transposed=transposed)
    return g.reshape(y, (*shape[:axis], *dims(y)[1:]))


def _convolved(
    g: Graph,
    layer: BoundLayer,
    x: ir.Value,
    geometry: KernelGeometry,
    group: int,
    parameters: list[ir.Value],
    outputs: int,
    *,
    transposed: bool,
) -> ir.Value:
    """x (batch, channels, ...) to (batch, outputs, ...)."""
    batch, _, *sizes = dims(x)
    size_of = _transposed_size if transposed else _size
    ends = geometry.pad if transposed else _end_pads(sizes, geometry)
    return g.node(
        "ConvTranspose" if transposed else "Conv",
        x,
        *parameters,
        shape=(batch, outputs, *(size_of(layer, size, geometry, k) for k, size in enumerate(sizes))),
        kernel_shape=geometry.kernel,
        strides=geometry.stride if set(geometry.stride) != {1} else None,
        pads=(*geometry.pad, *ends) if any((*geometry.pad, *ends)) else None,
        dilations=geometry.dilation if set(geometry.dilation) != {1} else None,
        group=group if group != 1 else None,
    )


def _size(layer: BoundLayer, size: Dim, geometry: KernelGeometry, k: int) -> Dim:
    if isinstance(size, Symbol):
        kept = geometry.stride[k] == 1 and 2 * geometry.pad[k] == geometry.extent[k] - 1
        return size if kept else layer.window_count(size, k)
    span = size + 2 * geometry.pad[k] - geometry.extent[k]
    # Caffe's division rounds towards zero: a kernel larger than the padded input by less than its stride
    # still has one window.
    layer.check(
        span > -geometry.stride[k],
        f"the kernel spans {geometry.extent[k]}, more than the padded input of size {size}",
    )
    return max(span, 0) // geometry.stride[k] + 1


def _end_pads(sizes: Sequence[Dim], geometry: KernelGeometry) -> tuple[int, ...]:
    """The padding at the end of each axis, enough for a kernel that is larger than the padded input."""
    return tuple(
        pad if isinstance(size, Symbol) else pad + max(0, extent - size - 2 * pad)
        for size, extent, pad in zip(sizes, geometry.extent, geometry.pad, strict=True)
    )


def _transposed_size(layer: BoundLayer, size: Dim, geometry: KernelGeometry, k: int) -> Dim:
    if isinstance(size, Symbol):
        return layer.window_count(size, k)
    result = geometry.stride[k] * (size - 1) + geometry.extent[k] - 2 * geometry.pad[k]
    layer.check(result > 0, f"the padding {geometry.pad[k]} leaves nothing of the output")
    return result
