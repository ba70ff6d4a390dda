"""The prior boxes that SSD and its relatives detect from."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from converters.from_caffe.bound_layer import BoundLayer
from converters.from_caffe.layers.checks import image_size
from converters.from_caffe.layers.limits import FLT_MAX
from converters.from_caffe.layers.registry import layer
from converters.graph import Graph

_SAME_RATIO = 1e-6
_DEFAULT_VARIANCE = 0.1
# The corners of a box, and the variances to decode them with.
_VALUES_PER_BOX = 8
# The most boxes at each place; real nets have up to a few dozen.
MOST_BOXES = 1_000
# (width, height) or (x, y)
Pair = tuple[float, float]


@layer("PriorBox", param="prior_box_param", fork_field_numbers=(150, 203, 212), in_place=False)
def prior_box(g: Graph, layer: BoundLayer, features: ir.Value, image: ir.Value) -> ir.Value:
    """A constant (1, 2, 4 * boxes): corners relative to the image, and the variances to decode with.

    Only the sizes of the two bottoms are used. Caffe reads min_size and max_size as integers: it drops their
    fractions. OpenCV's dialect gives the boxes by width and height, or repeats each box for every pair of
    offset_w and offset_h.
    """
    p = layer.param
    if len(p.width) or len(p.height):
        return prior_box_clustered(g, layer, features, image)
    if not (len(p.offset_h) or len(p.offset_w)):
        return _priors(g, layer, features, image, _box_sizes(layer), [(p.offset, p.offset)], clip=p.clip)
    _check_opencvs(layer)
    offsets = list(zip(p.offset_w, p.offset_h, strict=True))
    sizes = _box_sizes(layer, with_fractions=True)
    clip = p.clip if p.HasField("clip") else True
    return _priors(g, layer, features, image, sizes, offsets, clip=clip)


@layer("PriorBoxClustered", param="prior_box_param", fork_field_numbers=(150, 203, 212), in_place=False)
def prior_box_clustered(g: Graph, layer: BoundLayer, features: ir.Value, image: ir.Value) -> ir.Value:
    """As PriorBox, with boxes of each given width and height in pixels (OpenVINO's training toolbox)."""
    p = layer.param
    layer.check(len(p.width) > 0, "needs a width and a height for each box")
    layer.check(len(p.width) == len(p.height), f"has {len(p.width)} widths and {len(p.height)} heights")
    layer.check(min(*p.width, *p.height) > 0, "width and height must be positive")
    others = [name for name in ("min_size", "max_size", "aspect_ratio") if len(getattr(p, name))]
    if layer.type == "PriorBox":
        layer.check(not others, f"give either width and height, or {' and '.join(others)}")
    layer.check(not (len(p.offset_h) or len(p.offset_w)), "with width and height, give `offset`")
    sizes = list(zip(p.width, p.height, strict=True))
    return _priors(g, layer, features, image, sizes, [(p.offset, p.offset)], clip=p.clip)


def _check_opencvs(layer: BoundLayer) -> None:
    """What OpenCV checks where there are offset_h and offset_w, and what it silently reads otherwise."""
    p = layer.param
    layer.check(
        len(p.offset_h) == len(p.offset_w), f"has {len(p.offset_h)} offset_h and {len(p.offset_w)} offset_w"
    )
    layer.check(not p.HasField("offset"), "give either offset, or offset_h and offset_w")
    if len(p.offset_h) > 2:
        raise layer.unsupported("OpenCV counts its boxes wrongly with more than two offset_h and offset_w")
    if len(p.min_size) > 1 or len(p.max_size) > 1:
        raise layer.unsupported(
            "with offset_h and offset_w, OpenCV reads only the first min_size and max_size"
        )
    if p.HasField("img_size") or p.HasField("img_h") or p.HasField("img_w"):
        raise layer.unsupported("with offset_h and offset_w, OpenCV does not read the size of the image")


def _priors(
    g: Graph,
    layer: BoundLayer,
    features: ir.Value,
    image: ir.Value,
    sizes: Sequence[Pair],
    offsets: Sequence[Pair],
    *,
    clip: bool,
) -> ir.Value:
    """At each place, each box (width, height) in pixels, at each offset (x, y) in steps."""
    height, width = image_size(layer, features)
    img_width, img_height = _size_in_pixels(layer, image)
    layer.check_computed(height, width, len(sizes), len(offsets), _VALUES_PER_BOX)
    step = np.array(_steps(layer) or (img_width / width, img_height / height))
    places = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1)[:, :, None]
    centres = (places + np.array(offsets)) * step
    half = np.array(sizes)[:, None] / 2
    corners = np.concatenate([centres[:, :, None] - half, centres[:, :, None] + half], axis=-1)
    corners = corners / ([img_width, img_height] * 2)
    if clip:
        corners = corners.clip(0, 1)
    variances = np.broadcast_to(_variances(layer), corners.shape)
    both = np.stack([corners.reshape(-1), variances.reshape(-1)])
    layer.check(bool((np.abs(both) <= FLT_MAX).all()), "its boxes and variances must be finite numbers")
    return g.parameter("priors", both.astype(np.float32)[None])


def _size_in_pixels(layer: BoundLayer, image: ir.Value) -> tuple[int, int]:
    """(width, height) of the image: as the parameters give it, or that of the second bottom."""
    p = layer.param
    by_axis = p.HasField("img_h") or p.HasField("img_w")
    layer.check(not (by_axis and p.HasField("img_size")), "give either img_size, or img_h and img_w")
    if not by_axis and not p.HasField("img_size"):
        height, width = image_size(layer, image)
        return width, height
    size = (p.img_w, p.img_h) if by_axis else (p.img_size, p.img_size)
    layer.check(min(size) > 0, "img_size, img_h and img_w must be positive")
    return size


def _steps(layer: BoundLayer) -> tuple[float, float] | None:
    p = layer.param
    by_axis = p.HasField("step_h") or p.HasField("step_w")
    layer.check(not (by_axis and p.HasField("step")), "give either step, or step_h and step_w")
    if not by_axis and not p.HasField("step"):
        return None
    steps = (p.step_w, p.step_h) if by_axis else (p.step, p.step)
    layer.check(min(steps) > 0, "step, step_h and step_w must be positive")
    return steps


def _box_sizes(layer: BoundLayer, *, with_fractions: bool = False) -> list[Pair]:
    """(width, height) of the boxes at each place, in pixels of the image."""
    p = layer.param
    smallest, largest = list(p.min_size), list(p.max_size)
    layer.check(len(smallest) > 0, "needs a min_size")
    layer.check(0 < min(smallest) <= max(smallest) < math.inf, "min_size must be positive")
    layer.check(len(largest) in (0, len(smallest)), "give no max_size, or one for each min_size")
    layer.check(
        all(a < b < math.inf for a, b in zip(smallest, largest, strict=False)),
        "max_size must be greater than min_size",
    )
    ratios = _aspect_ratios(layer)
    if len(smallest) * (len(ratios) + 1) > MOST_BOXES:
        raise layer.unsupported(f"it has more than {MOST_BOXES:,} boxes at each place")
    sizes: list[Pair] = []
    if not with_fractions:
        smallest, largest = list(map(int, smallest)), list(map(int, largest))
    for low, high in itertools.zip_longest(smallest, largest):
        sizes.append((low, low))
        if high is not None:
            sizes.append((math.sqrt(low * high),) * 2)
        roots = [math.sqrt(ratio) for ratio in ratios[1:]]
        sizes += [(low * root, low / root) for root in roots]
    return sizes


def _aspect_ratios(layer: BoundLayer) -> list[float]:
    """1, then the given ratios, each followed by its inverse if `flip` is set; none of them twice."""
    if len(layer.param.aspect_ratio) > MOST_BOXES:
        raise layer.unsupported(f"it has more than {MOST_BOXES:,} values of aspect_ratio")
    ratios = [1.0]
    for ratio in layer.param.aspect_ratio:
        layer.check(0 < ratio < math.inf, "aspect_ratio must be positive")
        if all(abs(ratio - other) >= _SAME_RATIO for other in ratios):
            ratios += [ratio, float(np.float32(1 / ratio))] if layer.param.flip else [ratio]
    return ratios


def _variances(layer: BoundLayer) -> np.ndarray:
    variances = list(layer.param.variance) or [_DEFAULT_VARIANCE]
    layer.check(len(variances) in (1, 4), f"needs 1 or 4 variances, there are {len(variances)}")
    layer.check(min(variances) > 0, "variances must be positive")
    return np.array(variances)
