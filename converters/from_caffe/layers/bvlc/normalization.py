"""Layers that normalise or rescale by channel."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from converters.from_caffe.bound_layer import BoundLayer, Parameter
from converters.from_caffe.fillers import constant_filler
from converters.from_caffe.layers.checks import check_rank, image_axes
from converters.from_caffe.layers.registry import layer, one_value_per_channel
from converters.from_caffe.layers.scaled_batch_norm import is_scaled, scaled_batch_norm
from converters.graph import Graph, scalar
from converters.sizes import Dim, dims, product
from converters.training_settings import train_with_stored_statistics

_WITHIN_CHANNEL = 1


@layer("LRN", param="lrn_param", in_place=False)
def lrn(g: Graph, layer: BoundLayer, x: ir.Value) -> ir.Value:
    """x / (k + alpha / size * sum(x^2)) ^ beta over neighbouring channels, or over a window of one channel.

    Caffe's alpha is divided by the window's size, as ONNX's is. WITHIN_CHANNEL ignores k: it is 1.
    """
    p = layer.param
    n, c, h, w = image_axes(layer, x)
    layer.check(p.local_size % 2 == 1, f"local_size must be odd, it is {p.local_size}")
    within = p.norm_region == _WITHIN_CHANNEL
    if not within and p.alpha > 0 and p.beta > 0:
        return g.node("LRN", x, size=p.local_size, alpha=p.alpha, beta=p.beta, bias=p.k)
    # ONNX Runtime's LRN needs positive alpha and beta, so an average pooling takes its place. For a window
    # along the channels it runs over a blob with the channels as rows.
    squares = g.node("Mul", x, x)
    rows = squares if within else g.reshape(squares, (n, 1, c, product((h, w))))
    kernel = (p.local_size, p.local_size if within else 1)
    reach = tuple((size - 1) // 2 for size in kernel)
    mean = g.node(
        "AveragePool",
        rows,
        kernel_shape=kernel,
        pads=reach * 2 if any(reach) else None,
        count_include_pad=1,
    )
    mean = g.reshape(mean, dims(x))
    if p.alpha != 1:
        mean = g.node("Mul", mean, scalar(p.alpha))
    scale = g.node("Add", mean, scalar(1 if within else p.k))
    return g.node("Mul", x, g.node("Pow", scale, scalar(-p.beta)))


# What forks store from field 4 on. Two that change results and cannot be told apart are left out, and so
# refused: numbers at 5 and 6 are Intel's use_weight_bias and bias_term, or happynear's disable_variance.
_BATCH_NORM_FIELDS = {
    4: (),
    5: ("scale_filler",),
    6: ("bias_filler",),
    7: ("scale_bias", "filler"),
    8: ("bias_filler",),
    15: ("engine",),
}


@layer(
    "BatchNorm",
    param="batch_norm_param",
    fork_message_fields={139: _BATCH_NORM_FIELDS},
    bottom_of_blob=one_value_per_channel,
)
def batch_norm(g: Graph, layer: BoundLayer, x: ir.Value) -> ir.Value:
    """(x - mean) / sqrt(variance + eps), the stored statistics divided by the third blob.

    A third blob of 0 makes both statistics 0. With use_global_stats false, or in a layer that sets its own
    phase to TRAIN, the statistics are those of the batch. Forks may scale, shift and rectify the result too,
    or leave out the mean or the variance.
    """
    p = layer.param
    check_rank(layer, x, 2)
    scaled = is_scaled(layer)
    if scaled and (p.disable_mean or p.disable_variance):
        raise layer.unsupported("no fork has disable_mean or disable_variance and its own scale")
    y = scaled_batch_norm(g, layer, x) if scaled else _plain_batch_norm(g, layer, x)
    if _has_fixed_statistics(layer, y):
        train_with_stored_statistics(y)
    return g.node("Relu", y) if p.relu else y


def _has_fixed_statistics(layer: BoundLayer, y: ir.Value) -> bool:
    """Whether it uses its stored statistics in training too: the definition then says use_global_stats."""
    node = y.producer()
    param = layer.param if layer.training is None else layer.training.batch_norm_param
    stored = node is not None and node.op_type == "BatchNormalization"
    return bool(stored and param.HasField("use_global_stats") and param.use_global_stats)


def _plain_batch_norm(g: Graph, layer: BoundLayer, x: ir.Value) -> ir.Value:
    p = layer.param
    shape = dims(x)
    if not (p.use_global_stats if p.HasField("use_global_stats") else not layer.trains):
        if p.disable_mean or p.disable_variance:
            raise layer.unsupported("disable_mean and disable_variance need use_global_stats: true")
        return _normalise(g, x, [0, *range(2, len(shape))], p.eps)
    channels = layer.static(shape[1], "the number of channels")
    mean, variance, factor = layer.parameters(
        Parameter("mean", (channels,), initial=0),
        Parameter("variance", (channels,), initial=0),
        Parameter("factor", (1,), initial=0),
    )
    scale = np.float32(0) if factor[0] == 0 else np.float32(1) / factor[0]
    if scale != 1:
        mean, variance = mean * scale, variance * scale
    if p.disable_mean:
        mean = np.zeros(channels, np.float32)
    if p.disable_variance:
        variance = np.ones(channels, np.float32)
    return g.node(
        "BatchNormalization",
        x,
        g.constant_per_channel(channels, 1.0),
        g.constant_per_channel(channels, 0.0),
        g.parameter("running_mean", mean),
        g.parameter("running_var", variance),
        epsilon=0.0 if p.disable_variance else p.eps,
        momentum=p.moving_average_fraction,
    )


@layer("MVN", param="mvn_param")
def mvn(g: Graph, layer: BoundLayer, x: ir.Value) -> ir.Value:
    """x minus its mean, divided by (standard deviation + eps), over each channel or each image."""
    p = layer.param
    shape = dims(x)
    check_rank(layer, x, 0, 4)
    x = g.reshape(x, (*shape, *(1,) * (4 - len(shape))))
    axes = np.array([1, 2, 3] if p.across_channels else [2, 3], np.int64)
    return _standardised(g, x, axes, p.eps if p.normalize_variance else None)


def _standardised(g: Graph, x: ir.Value, axes: np.ndarray, eps: float | None) -> ir.Value:
    centred, reduced = _centred(g, x, axes)
    if eps is None:
        return centred
    variance = g.node("ReduceMean", g.node("Mul", centred, centred), axes, shape=reduced)
    deviation = g.node("Add", g.node("Sqrt", variance), scalar(eps))
    return g.node("Div", centred, deviation)


def _normalise(g: Graph, x: ir.Value, axes: list[int], eps: float) -> ir.Value:
    """(x - mean) / sqrt(variance + eps) over these axes of the batch itself."""
    where = np.array(axes, np.int64)
    centred, reduced = _centred(g, x, where)
    variance = g.node("ReduceMean", g.node("Mul", centred, centred), where, shape=reduced)
    return g.node("Div", centred, g.node("Sqrt", g.node("Add", variance, scalar(eps))))


def _centred(g: Graph, x: ir.Value, axes: np.ndarray) -> tuple[ir.Value, tuple[Dim, ...]]:
    reduced = tuple(1 if k in axes else size for k, size in enumerate(dims(x)))
    return g.node("Sub", x, g.node("ReduceMean", x, axes, shape=reduced)), reduced


@layer(
    "Scale",
    param="scale_param",
    fork_field_numbers=(160,),
    bottom_of_blob=one_value_per_channel,
    keeps_time=True,
)
def scale(g: Graph, layer: BoundLayer, x: ir.Value, factor: ir.Value | None = None) -> ir.Value:
    """x times a learned blob, or the second bottom, that spans some of its axes; optionally plus a bias."""
    p = layer.param
    wanted = []
    if factor is None:
        axis, shape = _spanned(layer, x, p)
        wanted.append(Parameter("scale", shape, p.filler if p.HasField("filler") else constant_filler(1)))
    else:
        axis = _second_bottom_axis(layer, x, factor)
        shape = ()
    if p.bias_term:
        spanned = dims(factor) if factor is not None else shape
        sizes = tuple(layer.static(size, "the size of the bias") for size in spanned)
        wanted.append(Parameter("bias", sizes, p.bias_filler))
    arrays = [
        g.parameter(w.name, _aligned(a, axis, x))
        for w, a in zip(wanted, layer.parameters(*wanted), strict=True)
    ]
    by = _aligned_value(g, factor, axis, x) if factor is not None else arrays.pop(0)
    y = g.node("Mul", x, by)
    return g.node("Add", y, arrays[0]) if arrays else y


@layer(
    "Bias",
    param="bias_param",
    fork_field_numbers=(161,),
    bottom_of_blob=one_value_per_channel,
    keeps_time=True,
)
def bias(g: Graph, layer: BoundLayer, x: ir.Value, addend: ir.Value | None = None) -> ir.Value:
    """x plus a learned blob, or the second bottom, that spans some of its axes."""
    p = layer.param
    if addend is not None:
        axis = _second_bottom_axis(layer, x, addend)
        return g.node("Add", x, _aligned_value(g, addend, axis, x))
    axis, shape = _spanned(layer, x, p)
    (values,) = layer.parameters(Parameter("bias", shape, p.filler))
    return g.node("Add", x, g.parameter("bias", _aligned(values, axis, x)))


def _spanned(layer: BoundLayer, x: ir.Value, param: object) -> tuple[int, tuple[int, ...]]:
    """(axis, shape) of a learned blob that spans num_axes axes from `axis` on; -1 means all that remain."""
    shape = dims(x)
    axis = layer.axis(layer.param.axis, len(shape))
    count = layer.param.num_axes
    layer.check(count >= -1, f"num_axes must be -1 or more, it is {count}")
    end = len(shape) if count == -1 else axis + count
    layer.check(end <= len(shape), f"axis {axis} and num_axes {count} reach beyond the {len(shape)} axes")
    return axis, tuple(layer.static(size, "the size of the axes it spans") for size in shape[axis:end])


def _second_bottom_axis(layer: BoundLayer, x: ir.Value, other: ir.Value) -> int:
    axis = 0 if not dims(other) else layer.axis(layer.param.axis, len(dims(x)))
    spanned = dims(x)[axis : axis + len(dims(other))]
    layer.check(
        spanned == dims(other),
        f"the second bottom is {dims(other)}, the first has {spanned} from axis {axis} on",
    )
    return axis


def _aligned(values: np.ndarray, axis: int, x: ir.Value) -> np.ndarray:
    """A learned blob with axes of size 1 at the end, so that it broadcasts from `axis` on."""
    trailing = len(dims(x)) - axis - values.ndim
    return values.reshape(values.shape + (1,) * trailing)


def _aligned_value(g: Graph, other: ir.Value, axis: int, x: ir.Value) -> ir.Value:
    trailing = len(dims(x)) - axis - len(dims(other))
    return g.reshape(other, (*dims(other), *(1,) * trailing))
