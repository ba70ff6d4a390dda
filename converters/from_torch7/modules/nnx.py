"""Classes of nnx: resampling and padding of maps, tables that hand a tensor on, small functions."""

from __future__ import annotations

import itertools
import math

import numpy as np
import onnx_ir as ir

from converters.errors import FormatError
from converters.from_torch7.backward_shape_inference import ANY, Repeated
from converters.from_torch7.builder import Builder
from converters.from_torch7.conversion import Conversion
from converters.from_torch7.module import Module
from converters.from_torch7.modules.activation import where
from converters.from_torch7.modules.checks import as_table, as_tensor, check_rank
from converters.from_torch7.modules.convolution import bias_of, convolve
from converters.from_torch7.modules.linear import matrix_weight
from converters.from_torch7.modules.padding import pad_or_crop
from converters.from_torch7.modules.pooling import pool
from converters.from_torch7.modules.reduction import reduce
from converters.from_torch7.modules.single_run import single_run
from converters.from_torch7.modules.upsampling import LINEAR
from converters.from_torch7.modules.windows import Window
from converters.from_torch7.registry import module, structure
from converters.from_torch7.tensor_references import NestedTensors, ValueStorage
from converters.sizes import dims, shape_text


@module("Minus", expects=ANY)
def minus(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """-x (nnx)."""
    return g.node("Neg", x)


@module("Balance", expects=ANY)
def balance(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """A copy of the input in evaluation (nnx)."""
    check_rank(m, x, 2)
    return x


@structure("SaturatedLU", expects=ANY)
def saturated_lu(conversion: Conversion, m: Module, x: NestedTensors) -> NestedTensors:
    """val where x < threshold; then val2 where that is above threshold2. A new tensor at every run (nnx)."""
    value = as_tensor(m, x).read()
    with conversion.layer(m, "saturatedlu") as layer:
        g = conversion.graph
        low = where(g, "Less", value, m.number("threshold"), m.number("val"), value)
        result = where(g, "Greater", low, m.number("threshold2"), m.number("val2"), low)
        layer.set_output(value, result)
    return ValueStorage(result)


@module("MultiSoftMax", name="softmax")
def multi_softmax(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """A softmax over the last of three dimensions (nnx)."""
    check_rank(m, x, 3)  # Torch returns nothing for matrices
    return g.node("Softmax", x, axis=2)


def image_axes(m: Module, x: ir.Value) -> tuple[int, int]:
    """The axes of height and width, which the fields yDim and xDim name from 1; 2 and 3 by default."""
    axes = m.integer("yDim", 2, minimum=1) - 1, m.integer("xDim", 3, minimum=1) - 1
    if axes[1] != axes[0] + 1 or axes[1] >= len(dims(x)):
        raise m.error(FormatError, f"cannot find height and width of {shape_text(dims(x))}: yDim, xDim")
    return axes


def gather_axes(g: Builder, x: ir.Value, axes: tuple[int, int], places: list[np.ndarray]) -> ir.Value:
    """x with each of two dimensions replaced by its entries at these places."""
    for axis, chosen in zip(axes, places, strict=True):
        shape = [len(chosen) if k == axis else size for k, size in enumerate(dims(x))]
        x = g.node("Gather", x, chosen.astype(np.int64), shape=shape, axis=axis)
    return x


@single_run("SpatialUpSampling", name="upsample")
def spatial_up_sampling(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """Each pixel becomes dH x dW pixels (nnx)."""
    axes = image_axes(m, x)
    sizes = [m.static_size(dims(x)[axis]) for axis in axes]
    factors = [m.integer(name, minimum=1) for name in ("dH", "dW")]
    m.check_element_count(sizes[0] * factors[0], sizes[1] * factors[1])
    places = [np.arange(size * factor) // factor for size, factor in zip(sizes, factors, strict=True)]
    return gather_axes(g, x, axes, places)


@module("SpatialDownSampling", name="downsample")
def spatial_down_sampling(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """The mean of each block of rH x rW pixels; of one image only, without a batch (nnx)."""
    check_rank(m, x, 3)
    windows = [Window(size, size, 0) for size in (m.integer(name, minimum=1) for name in ("rH", "rW"))]
    return g.squeeze(pool(g, m, g.unsqueeze(x, 0), "AveragePool", windows), [0])


def wanted_size(m: Module, size: int, fixed: str, ratio: str, rounding: float) -> int:
    """The field `fixed`, or else the field `ratio` times the size, plus `rounding`; fractions are cut off."""
    wanted = int(m.number(fixed)) if m.has(fixed) else math.floor(m.number(ratio) * size + rounding)
    if wanted < 1:
        raise m.error(FormatError, f"asks for an output of size {wanted} (fields {fixed!r}, {ratio!r})")
    return wanted


def resize_linear(g: Builder, m: Module, x: ir.Value, axes: tuple[int, int], sizes: list[int]) -> ir.Value:
    """Bilinear resizing in which the corner pixels of input and output coincide."""
    if 1 in sizes:
        raise m.unsupported("it divides by the output size minus 1, which is 0")
    shape = [sizes[axes.index(axis)] if axis in axes else size for axis, size in enumerate(dims(x))]
    target = np.array(sizes, np.int64)
    return g.node("Resize", x, None, None, target, shape=shape, axes=list(axes), **LINEAR)


@single_run(
    "SpatialReSampling", name="resample", reshapes=lambda m, x: not (m.has("oheight") and m.has("owidth"))
)
def spatial_re_sampling(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """Bilinear resizing to oheight x owidth, or by rheight and rwidth (nnx).

    Torch keeps the sizes of its first run in oheight and owidth, so that a second run has the same.
    """
    check_rank(m, x, 3, 4)
    rows, columns = (m.static_size(size) for size in dims(x)[-2:])
    sizes = [
        wanted_size(m, rows, "oheight", "rheight", 0),
        wanted_size(m, columns, "owidth", "rwidth", 0),
    ]
    if len(dims(x)) == 4:
        return resize_linear(g, m, x, (2, 3), sizes)
    return g.squeeze(resize_linear(g, m, g.unsqueeze(x, 0), (2, 3), sizes), [0])


@single_run("SpatialReSamplingEx", name="resample")
def spatial_re_sampling_ex(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """Resizing to oheight x owidth, or by rheight and rwidth: simple, average or bilinear (nnx).

    Without interpolation the step is a whole number: the ratio of the sizes, rounded up where the image grows
    and down where it shrinks (SpatialReSamplingEx.c).
    """
    axes = image_axes(m, x)
    rows, columns = (m.static_size(dims(x)[axis]) for axis in axes)
    height = wanted_size(m, rows, "oheight", "rheight", 0.5)
    width = wanted_size(m, columns, "owidth", "rwidth", 0.5)
    m.check_element_count(height, width)
    if (height >= rows) != (width >= columns):
        raise m.error(
            FormatError, f"cannot make {height}x{width} of {rows}x{columns}: one grows, one shrinks"
        )
    if m.text("mode", "simple") == "bilinear":
        return resize_linear(g, m, x, axes, [height, width])
    if height >= rows:
        grown = [np.arange(new) // -(-new // old) for new, old in ((height, rows), (width, columns))]
        return gather_axes(g, x, axes, grown)
    steps = rows // height, columns // width
    starts = [np.arange(new) * step for new, step in zip((height, width), steps, strict=True)]
    if m.text("mode", "simple") == "simple":
        return gather_axes(g, x, axes, starts)
    for axis, start, step in zip(axes, starts, steps, strict=True):
        x = reduce_blocks(g, x, axis, start[:, None] + np.arange(step), "ReduceMean")
    return x


def reduce_blocks(g: Builder, x: ir.Value, axis: int, places: np.ndarray, op_type: str) -> ir.Value:
    """A dimension reduced to one entry for each row of places."""
    shape = (*dims(x)[:axis], *places.shape, *dims(x)[axis + 1 :])
    return reduce(g, op_type, g.node("Gather", x, places.astype(np.int64), shape=shape, axis=axis), axis + 1)


@module("SpatialMaxSampling", name="maxsample")
def spatial_max_sampling(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """The largest of each of oheight x owidth regions of one image, which do not overlap (nnx)."""
    check_rank(m, x, 3)
    for axis, name in ((1, "oheight"), (2, "owidth")):
        cells, size = m.c_integer(name, minimum=1), m.static_size(dims(x)[axis])
        m.check_element_count(cells, size)
        # As in C, the bounds are computed in float32.
        bounds = (np.arange(cells + 1).astype(np.float32) * (np.float32(size) / np.float32(cells))).astype(
            int
        )
        regions = [np.arange(a, max(a + 1, b)) for a, b in itertools.pairwise(bounds)]
        widest = max(map(len, regions))
        # Shorter regions repeat their last entry, which does not change the maximum.
        places = np.array([np.pad(region, (0, widest - len(region)), "edge") for region in regions])
        if places.max() >= size:
            raise m.unsupported(f"Torch reads beyond the {size} entries of the image")
        x = reduce_blocks(g, x, axis, places, "ReduceMax")
    return x


@module("SpatialPadding", name="pad")
def spatial_padding(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """`val` at the four sides of the dimensions y_dim and x_dim; negative amounts are cut off (nnx)."""
    pads = [(0, 0)] * len(dims(x))
    for name, default, (before, after) in (("y_dim", 2, "tb"), ("x_dim", 3, "lr")):
        axis = m.integer(name, default, minimum=1) - 1
        if axis >= len(dims(x)):
            raise m.error(FormatError, f"pads dimension {axis + 1} of {len(dims(x))}")
        pads[axis] = m.integer(f"pad_{before}"), m.integer(f"pad_{after}")
    return pad_or_crop(g, m, x, pads, value=m.number("val", 0))


@module("SpatialLinear", name="linear")
def spatial_linear(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """A Linear over the channels of each pixel of one image, without a batch (nnx)."""
    check_rank(m, x, 3)
    weight = matrix_weight(m)
    kernel = g.weight("weight", weight.reshape(*weight.shape, 1, 1))
    windows = [Window(1, 1, 0)] * 2
    return g.squeeze(convolve(g, m, g.unsqueeze(x, 0), kernel, bias_of(g, m, len(weight)), windows), [0])


@structure("PushTable", expects=Repeated())
def push_table(conversion: Conversion, m: Module, x: NestedTensors) -> NestedTensors:
    """A table without its entry _index, which the PullTables of this module put back later (nnx)."""
    table, index = as_table(m, x), m.integer("_index", minimum=1)
    if index > len(table):
        raise m.error(FormatError, f"takes entry {index} of a table of {len(table)}")
    conversion.pushed[m.torch_object] = table[index - 1]
    return [*table[: index - 1], *table[index:]]


@structure("PullTable", expects=Repeated())
def pull_table(conversion: Conversion, m: Module, x: NestedTensors) -> NestedTensors:
    """A table, or a tensor as a table of one, with what its PushTable took out inserted at _index (nnx)."""
    table, index = x if isinstance(x, list) else [x], m.integer("_index", minimum=1)
    pushed = conversion.pushed.get(m.child("_push").torch_object)
    if pushed is None:
        raise m.error(FormatError, "the PushTable that it belongs to does not run before it")
    if index > len(table) + 1:
        raise m.error(FormatError, f"inserts entry {index} in a table of {len(table)}")
    return [*table[: index - 1], pushed, *table[index - 1 :]]
