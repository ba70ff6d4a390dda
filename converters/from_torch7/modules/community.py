"""Classes outside torch/nn in widely used models: dpnn, inn, fast-neural-style, waifu2x, DenseNet."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from converters.errors import FormatError
from converters.from_torch7.backward_shape_inference import ANY, Expected, Repeated, batch_first
from converters.from_torch7.builder import Builder
from converters.from_torch7.conversion import Conversion, Infer
from converters.from_torch7.module import Module
from converters.from_torch7.modules.activation import clip
from converters.from_torch7.modules.arithmetic import reshape_tensor
from converters.from_torch7.modules.checks import (
    as_table,
    as_tensor,
    check_channels,
    check_rank,
    expected_maps,
    first_two_tensors,
    table_entry,
    tensor_value,
    two_tensors,
)
from converters.from_torch7.modules.containers import join_branches, run_branches
from converters.from_torch7.modules.convolution import convolve_by_module
from converters.from_torch7.modules.padding import pad_or_crop
from converters.from_torch7.modules.table import elementwise
from converters.from_torch7.objects import TorchObject
from converters.from_torch7.registry import module, structure
from converters.from_torch7.tensor_references import NestedTensors
from converters.sizes import Symbol, dims, shape_text


@structure("TotalVariation", "TVLoss", "ContentLoss", "StyleLoss", expects=ANY)
def total_variation(conversion: Conversion, m: Module, x: NestedTensors) -> NestedTensors:
    """The input itself; a loss of training (fast-neural-style, texture_nets, neural-style)."""
    return x


@module("ShaveImage", name="crop", rank=4, expects=batch_first(None, None, None))
def shave_image(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """The image without `size` pixels at each side."""
    size = m.integer("size", minimum=0)
    return pad_or_crop(g, m, x, [(-size, -size)] * 2)


@module(
    "InstanceNormalization",
    name="instancenorm",
    rank=4,
    expects=lambda m: batch_first(m.integer("nOutput"), None, None),
)
def instance_normalization(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """Each channel of each image normalised by its mean and variance, in evaluation too (fast-neural-style).

    Classes of this name with running statistics (texture_nets, CycleGAN) never use them, because their inner
    batch normalisation stays in training mode. If it was set to evaluation, the module is not supported.
    """
    inner = m.get("bn")
    if isinstance(inner, TorchObject) and inner.fields.fields.get("train") is False and m.has("running_mean"):
        raise m.unsupported("it normalises by running statistics, which belong to one batch size")
    if m.flag("disabled"):
        return x
    channels = m.integer("nOutput", minimum=1)
    check_channels(m, x, 1, channels)
    m.check_element_count(channels)
    weight, bias = m.optional_tensor("weight", (channels,)), m.optional_tensor("bias", (channels,))
    return g.node(
        "InstanceNormalization",
        x,
        g.weight("weight", np.ones(channels, np.float32) if weight is None else weight),
        g.weight("bias", np.zeros(channels, np.float32) if bias is None else bias),
        epsilon=m.number("eps", 1e-5),
    )


@module("inn.SpatialConstAffine", "inn.ConstAffine", name="affine", supports_inplace=True)
def const_affine(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """a * x + b for each channel of maps, or each feature of a batch of vectors."""
    check_rank(m, x, 2, 3, 4)
    behind = (1, 1) if len(dims(x)) > 2 else ()
    a, b = (g.weight(name, m.tensor(name).reshape(-1, *behind)) for name in "ab")
    check_channels(m, x, len(dims(x)) - 1 - len(behind), m.tensor("a").size)
    return g.binary("Add", g.binary("Mul", x, a), b)


@module("inn.MeanSubtraction", name="mean")
def mean_subtraction(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """x minus a mean image, the same for every image of a batch."""
    mean = m.tensor("mean")
    inner = mean[0] if mean.ndim == len(dims(x)) == 4 else mean
    return g.binary("Sub", x, g.weight("mean", reshape_tensor(m, "mean", inner, dims(x)[-3:])))


@structure("inn.SpatialPyramidPooling", expects=batch_first(None, None, None))
def spatial_pyramid_pooling(conversion: Conversion, m: Module, x: NestedTensors) -> NestedTensors:
    """Adaptive poolings of several sizes, flattened and joined over the features."""
    value = tensor_value(m, x)
    check_rank(m, value, 3, 4)
    parts = run_branches(conversion, m, [(child, x) for child in m.children()])
    return join_branches(conversion, m, parts, len(dims(value)) - 3)


@module(
    "inn.ROIPooling", name="roipool", takes="table", expects=[batch_first(None, None, None), (Symbol("R"), 5)]
)
def roi_pooling(g: Builder, m: Module, x: list[ir.Value]) -> ir.Value:
    """The largest values in W x H cells of each region, a row of image, left, top, right, bottom, from 1.

    Since version 2 (field v2), a scaled region excludes its last row and column.
    """
    maps, regions = two_tensors(m, x)
    scale = m.positive("spatial_scale", 1)
    last = 1 + 1 / scale if m.flag("v2") else 1
    if len(dims(maps)) != 4 or len(dims(regions)) != 2:
        raise m.error(FormatError, "takes {maps, regions}, 4-D and 2-D")
    check_channels(m, regions, 1, 5)
    size = [m.integer("H", minimum=1), m.integer("W", minimum=1)]
    return g.node(
        "MaxRoiPool",
        maps,
        g.binary("Sub", regions, g.constant(np.array([1, 1, 1, last, last], np.float32))),
        shape=(dims(regions)[0], dims(maps)[1], *size),
        pooled_shape=size,
        spatial_scale=scale,
    )


@module("SpatialFeatNormalization", name="normalize", rank=4)
def spatial_feat_normalization(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """(x - mean) / std for each channel (dpnn)."""
    mean, std = (g.weight(name, m.tensor(name).reshape(-1, 1, 1)) for name in ("mean", "std"))
    check_channels(m, x, 1, m.tensor("mean").size)
    return g.binary("Div", g.binary("Sub", x, mean), std)


@module("ArgMax")
def arg_max(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """The index (from 1) of the largest value along a dimension (dpnn)."""
    axis = m.integer("dim", 1, minimum=1) - 1 + (len(dims(x)) > m.integer("nInputDim", 9999))
    if axis >= len(dims(x)):
        raise m.error(FormatError, f"works along dimension {axis + 1} of {len(dims(x))}")
    keep = len(dims(x)) == 1
    shape = (1,) if keep else (*dims(x)[:axis], *dims(x)[axis + 1 :])
    place = g.node("ArgMax", x, shape=shape, dtype=ir.DataType.INT64, axis=axis, keepdims=int(keep))
    return g.binary("Add", g.cast(place, ir.DataType.FLOAT), 1.0)


@module("w2nn.Print", "w2nn.GradWeight", expects=ANY)
def copy_of_input(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """A copy of the input (waifu2x)."""
    return x


@structure("w2nn.InplaceClip01", expects=ANY)
def inplace_clip(conversion: Conversion, m: Module, x: NestedTensors) -> NestedTensors:
    """x limited to [0, 1], in place (waifu2x)."""
    tensor = as_tensor(m, x)
    value = tensor.read()
    with conversion.layer(m, "clip") as layer:
        result = clip(conversion.graph, value, 0, 1)
        layer.set_output(value, result)
    tensor.write(result)
    return conversion.output_set(m, tensor)


@module("w2nn.ScaleTable", name="scale", takes="table", expects=[None, None])
def scale_table(g: Builder, m: Module, x: list[ir.Value]) -> ir.Value:
    """The first tensor times the second, which is broadcast over dimensions of size 1 (waifu2x)."""
    values, factors = two_tensors(m, x)
    fits = [size == 1 or size == have for size, have in zip(dims(factors), dims(values), strict=False)]
    if len(dims(factors)) != len(dims(values)) or not all(fits):
        raise m.error(FormatError, f"cannot scale {shape_text(dims(values))} by {shape_text(dims(factors))}")
    return g.binary("Mul", values, factors)


@module("w2nn.ShakeShakeTable", name="add", takes="table", expects=[None, None])
def shake_shake_table(g: Builder, m: Module, x: list[ir.Value]) -> ir.Value:
    """The sum of two tensors, which are weighed at random in training only (waifu2x)."""
    return elementwise(g, m, "Add", first_two_tensors(m, x))


@module("w2nn.RandomBinaryConvolution", name="conv", rank=4, expects=expected_maps)
def random_binary_convolution(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """A SpatialConvolution with a fixed weight of -1, 0 and 1; its shape is out x in x kW x kH (waifu2x)."""
    weight = m.tensor("weight")
    return convolve_by_module(g, m.with_tensor("weight", weight.reshape(len(weight), -1)), x, "HW")


@structure("w2nn.AuxiliaryLossTable", expects=Repeated())
def auxiliary_loss_table(conversion: Conversion, m: Module, x: NestedTensors) -> NestedTensors:
    """One entry of a table; the others are for losses (waifu2x)."""
    chosen = table_entry(m, as_table(m, x), m.integer("i", 1))
    return conversion.output_of(m, tensor_value(m, chosen), chosen)


def expected_by_dense_connect(m: Module, infer: Infer, successor: Expected) -> Expected:
    """What its first module expects, as one tensor."""
    return infer(m.children()[0], ANY)


@structure("DenseConnectLayerCustom", expects=expected_by_dense_connect)
def dense_connect_layer(conversion: Conversion, m: Module, x: NestedTensors) -> NestedTensors:
    """The input tensors and a new one: two modules applied to the joined input tensors (DenseNet)."""
    tensors = x if isinstance(x, list) else [x]
    first, second = m.children()
    if isinstance(x, list):
        x = join_branches(conversion, m, [as_tensor(m, part) for part in x], 1)
    return [*tensors, conversion.run(second, conversion.run(first, x))]
