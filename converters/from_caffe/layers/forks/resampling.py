"""Layers of Caffe's forks that change the size of an image."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import onnx_ir as ir

from converters.from_caffe.bound_layer import BoundLayer
from converters.from_caffe.layers.checks import image_size
from converters.from_caffe.layers.registry import layer
from converters.graph import Graph
from converters.graph_bounds import MAX_CONSTANT_ELEMENTS
from converters.sizes import Dim, dims, shape_text

_SPATIAL = (2, 3)
# ResampleParameter.ResampleType
_NEAREST, _LINEAR, _CUBIC = 1, 2, 3


@layer("Interp", param="interp_param", fork_field_numbers=(143, 162, 166, 205, 217, 2210), in_place=False)
def interp(g: Graph, layer: BoundLayer, x: ir.Value, reference: ir.Value | None = None) -> ir.Value:
    """Bilinear with aligned corners: to a size, by a factor, or to the size of a second bottom.

    Zooming or shrinking goes before a size, and a size before zooming and shrinking in one layer.

    pad_beg and pad_end are 0 or negative, and first crop that many rows and columns. (DeepLab; in PSPNet
    there may be a second bottom, or shrinking and zooming in one layer.)
    """
    p = layer.param
    layer.check(p.pad_beg <= 0 and p.pad_end <= 0, "pad_beg and pad_end crop: they must not be positive")
    height, width = (size + p.pad_beg + p.pad_end for size in image_size(layer, x))
    layer.check(height > 0 and width > 0, f"cropping leaves {height}x{width} pixels")
    if p.pad_beg or p.pad_end:
        begin = np.full(2, -p.pad_beg, np.int64)
        end = begin + np.array([height, width])
        x = g.node("Slice", x, begin, end, np.array(_SPATIAL, np.int64), shape=(*dims(x)[:2], height, width))
    return corner_aligned(g, x, *_interp_size(layer, height, width, reference))


def _interp_size(layer: BoundLayer, height: int, width: int, reference: ir.Value | None) -> tuple[int, int]:
    p = layer.param
    by_size = p.HasField("height") and p.HasField("width")
    factors = p.HasField("zoom_factor") + p.HasField("shrink_factor")
    layer.check(
        bool(by_size or factors) != (reference is not None),
        "give either height and width, or zoom_factor or shrink_factor, or a second bottom",
    )
    if reference is not None:
        return image_size(layer, reference)
    layer.check(p.zoom_factor >= 1 and p.shrink_factor >= 1, "zoom_factor and shrink_factor must be positive")
    if by_size and factors != 1:
        layer.check(p.height > 0 and p.width > 0, "height and width must be positive")
        return p.height, p.width
    shrunk = ((height - 1) // p.shrink_factor + 1, (width - 1) // p.shrink_factor + 1)
    zoomed_height, zoomed_width = (size + (size - 1) * (p.zoom_factor - 1) for size in shrunk)
    return zoomed_height, zoomed_width


def corner_aligned(g: Graph, x: ir.Value, height: int, width: int) -> ir.Value:
    """Bilinear interpolation that keeps the corner pixels; the height and width of x must be numbers."""
    n, channels, *size = dims(x)
    if size == [height, width]:
        return x
    # By factors, as sizes would include the batch, which may be symbolic. Not every runtime knows `axes`.
    factors = [_factor(have, wanted) for have, wanted in zip(size, (height, width), strict=True)]
    return g.node(
        "Resize",
        x,
        None,
        np.array([1, 1, *factors], np.float32),
        shape=(n, channels, height, width),
        mode="linear",
        coordinate_transformation_mode="align_corners",
    )


def _factor(have: Dim, wanted: int) -> float:
    """The float32 scale from `have` to `wanted` pixels; runtimes round the product down, some in float32."""
    assert isinstance(have, int)
    factor = np.float32(wanted / have)
    while have * float(factor) < wanted:
        factor = np.nextafter(factor, np.float32(np.inf))
    return float(factor)


@layer("Accum", param="accum_param", fork_field_numbers=(160,), in_place=False)
def accum(g: Graph, layer: BoundLayer, first: ir.Value, *others: ir.Value) -> ir.Value:
    """Images of several sizes as the channels of one: each is interpolated to one size (FlowNet).

    With have_reference, it is the size of the last bottom. Otherwise it is the largest height and width of
    the bottoms, or a larger size given by top_height and top_width, or by size_divisible_by.
    """
    p = layer.param
    bottoms = [first, *others]
    reference = bottoms.pop() if p.have_reference else None
    layer.check(len(bottoms) > 0, "have_reference needs a bottom besides the reference")
    sizes = [image_size(layer, x) for x in bottoms]
    if reference is not None:
        height, width = image_size(layer, reference)
    else:
        height, width = (max(along) for along in zip(*sizes, strict=True))
        by = p.size_divisible_by
        asked = (-(-height // by) * by, -(-width // by) * by) if by else (p.top_height, p.top_width)
        if asked[0] > height and asked[1] > width:
            height, width = asked
    layer.check(
        height > 1 and width > 1, f"the top would be {height}x{width}; Caffe divides by its size less 1"
    )
    resized = [corner_aligned(g, x, height, width) for x in bottoms]
    channels = layer.sum_of_sizes(dims(x)[1] for x in bottoms)
    return g.node("Concat", *resized, shape=(dims(first)[0], channels, height, width), axis=1)


@layer("Resample", param="resample_param", fork_field_numbers=(155, 220), in_place=False)
def resample(g: Graph, layer: BoundLayer, x: ir.Value, reference: ir.Value | None = None) -> ir.Value:
    """To a given size or that of a second bottom: nearest, linear or cubic, with antialiasing (FlowNet 2)."""
    p = layer.param
    have = image_size(layer, x)
    wanted = image_size(layer, reference) if reference is not None else (p.height, p.width)
    layer.check(min(wanted) > 0, "give a height and a width, or a second bottom")
    _check_weights(layer, have, wanted)
    factors = (have[0] / wanted[0], have[1] / wanted[1])
    # FlowNet 2's code adds half of the factor of the other axis to each coordinate.
    centres = [np.arange(wanted[k]) * factors[k] + factors[1 - k] / 2 - 0.5 for k in range(2)]
    if p.type == _NEAREST:
        return _picked(g, layer, x, [_rounded(centre) for centre in centres])
    layer.check(p.type in (_LINEAR, _CUBIC), "only NEAREST, LINEAR and CUBIC are implemented")
    antialias = p.antialias and max(factors) > 1
    reach = 2 if p.type == _LINEAR else 4
    kernel = _triangle if p.type == _LINEAR else _bicubic
    weights = [
        _resample_weights(have[k], centres[k], factors[k], factors[k] if antialias else 1.0, reach, kernel)
        for k in range(2)
    ]
    return _weighted(g, x, weights)


def _resample_weights(
    size: int,
    centres: np.ndarray,
    factor: float,
    spread: float,
    reach: int,
    kernel: Callable[[np.ndarray], np.ndarray],
) -> np.ndarray:
    """(wanted, size): the share of each source pixel along one axis; those of both axes are multiplied."""
    radius = 2 if factor < 1 else math.ceil(reach * spread)
    source = np.arange(size)
    near = np.abs(source - _rounded(centres)[:, None]) <= radius
    weights = kernel((centres[:, None] - source) / spread) * near
    total = weights.sum(axis=1, keepdims=True)
    shares: np.ndarray = np.divide(weights, total, out=np.zeros_like(weights), where=total != 0)
    return shares


def _triangle(x: np.ndarray) -> np.ndarray:
    result: np.ndarray = np.maximum(1 - np.abs(x), 0)
    return result


def _bicubic(x: np.ndarray) -> np.ndarray:
    x = np.abs(x)
    inner = x * x * (1.5 * x - 2.5) + 1
    outer = x * (x * (-0.5 * x + 2.5) - 4) + 2
    return np.where(x <= 1, inner, np.where(x < 2, outer, 0))


def _rounded(x: np.ndarray) -> np.ndarray:
    """To whole numbers, halves away from zero."""
    result: np.ndarray = np.sign(x) * np.floor(np.abs(x) + 0.5)
    return result


@layer("Downsample", param="downsample_param", fork_field_numbers=(156,), in_place=False)
def downsample(g: Graph, layer: BoundLayer, x: ir.Value, reference: ir.Value | None = None) -> ir.Value:
    """To a smaller size by triangular weights, with aligned corners (FlowNet).

    Caffe also skips NaN, which mark holes in a ground-truth flow field and occur only in training.
    """
    p = layer.param
    have = image_size(layer, x)
    wanted = image_size(layer, reference) if reference is not None else (p.top_height, p.top_width)
    if wanted == have:
        return x
    layer.check(min(wanted) > 1, "top_height and top_width must exceed 1: Caffe divides by them less 1")
    _check_weights(layer, have, wanted)
    weights = [_downsample_weights(*sizes) for sizes in zip(have, wanted, strict=True)]
    return _weighted(g, x, weights)


def _downsample_weights(size: int, wanted: int) -> np.ndarray:
    spread = (size - 1) / (wanted - 1)
    centres = np.arange(wanted) / (wanted - 1) * (size - 1)
    source = np.arange(size)
    near = np.abs(source - _rounded(centres)[:, None]) <= math.ceil(spread)
    weights = np.maximum(1 - np.abs(source - centres[:, None]) / spread, 0) * near
    with np.errstate(invalid="ignore"):  # 0 / 0 where no source is near, when growing: NaN, as in Caffe
        shares: np.ndarray = weights / weights.sum(axis=1, keepdims=True)
    return shares


def _check_weights(layer: BoundLayer, have: tuple[int, int], wanted: tuple[int, int]) -> None:
    if any(a * b > MAX_CONSTANT_ELEMENTS for a, b in zip(have, wanted, strict=True)):
        raise layer.unsupported(
            f"from {shape_text(have)} to {shape_text(wanted)} pixels takes more than the "
            f"{MAX_CONSTANT_ELEMENTS:,} weights that one layer may have"
        )


def _weighted(g: Graph, x: ir.Value, weights: list[np.ndarray]) -> ir.Value:
    """Rows and columns mixed by (wanted, have) matrices: along the width, then along the height."""
    rows, columns = (np.ascontiguousarray(w, np.float32) for w in (weights[0], weights[1].T))
    n, c, height, _ = dims(x)
    mixed = g.node("MatMul", x, g.parameter("columns", columns), shape=(n, c, height, columns.shape[1]))
    return g.node("MatMul", g.parameter("rows", rows), mixed, shape=(n, c, rows.shape[0], columns.shape[1]))


def _picked(g: Graph, layer: BoundLayer, x: ir.Value, places: list[np.ndarray]) -> ir.Value:
    for axis, index in zip(_SPATIAL, places, strict=True):
        size = layer.static(dims(x)[axis], "the size of the image")
        if index.min() < 0 or index.max() >= size:
            raise layer.unsupported("with these two factors, Caffe reads pixels outside the image")
        shape = list(dims(x))
        shape[axis] = len(index)
        x = g.node("Gather", x, index.astype(np.int64), shape=shape, axis=axis)
    return x
