"""Faster R-CNN's Proposal, as PVANet and similar forks compute it in C++."""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir

from converters.from_caffe.bound_layer import BoundLayer
from converters.from_caffe.layers import boxes
from converters.from_caffe.layers.parameters import parameter_fields
from converters.from_caffe.layers.registry import layer
from converters.graph import Graph, scalar
from converters.sizes import dims, product, shape_text

# From here on float32 does not represent every pixel.
_LARGEST = 2.0**24
# The number at which happynear's fork stores the parameters.
_HAPPYNEAR = 219
# Scales above this multiple of base_size would make anchors larger than any image in use: they are pixels.
_LARGEST_SCALE = 4


@layer(
    "Proposal",
    param="proposal_param",
    fork_field_numbers=(201, _HAPPYNEAR, 1200, 8266713),
    in_place=False,
    tops=(1, 2),
)
def proposal(
    g: Graph, layer: BoundLayer, scores: ir.Value, deltas: ir.Value, info: ir.Value
) -> list[ir.Value]:
    """Regions (M, 5) and, as a second top, their scores (M,).

    scores: (N, 2 * anchors, H, W), with those of objects in the second half. deltas: (N, 4 * anchors, H, W).
    info: height, width, and one scale for both or one for each; what follows is not read. Its first row is
    used for all images.

    The pre_nms_topn best boxes of an image compete: a box is dropped if a better one overlaps it by more than
    nms_thresh, and the post_nms_topn best of the others remain. A box is one pixel wider and higher than the
    distance of its corners. A box smaller than min_size times the scale has the score 0; if such boxes are
    among the result, Caffe's sort does not define their order.
    """
    return proposed_regions(g, layer, scores, deltas, info, drop_small=False)


def proposed_regions(
    g: Graph, layer: BoundLayer, scores: ir.Value, deltas: ir.Value, info: ir.Value, *, drop_small: bool
) -> list[ir.Value]:
    """See `proposal`. drop_small: boxes below min_size do not compete, as in Faster R-CNN's Python code."""
    p = layer.param
    anchors = _anchors(layer)
    height, width = _check(layer, scores, deltas, len(anchors))
    corners, least = _limited(g, layer, _moved(g, layer, deltas, anchors), info)
    large = _as_large_as(g, corners, least)
    ranked = g.node("Mul", _of_objects(g, scores, len(anchors)), large)
    if drop_small:  # scores are not negative: -1 is below them all
        ranked = g.node("Add", ranked, g.node("Sub", large, scalar(1)))
    taken = min(p.pre_nms_topn, height * width * len(anchors))
    ranked, places = boxes.top_per_row(g, ranked, taken)
    corners = boxes.gather_per_row(g, corners, places)
    extended = g.node("Add", corners, np.array([0, 0, 1, 1], np.float32))
    limit = min(p.post_nms_topn, taken)
    mask = boxes.suppression_mask(
        g, layer, extended, ranked, overlap=p.nms_thresh, least=-0.5 if drop_small else None, limit=limit
    )
    found = boxes.nonzero_places(g, layer, mask)
    image = boxes.as_float_column(g, boxes.column(g, found, 0))
    regions = g.node(
        "Concat", image, boxes.gather_places(g, corners, found), shape=(dims(found)[0], 5), axis=1
    )
    return [regions] if layer.top_count == 1 else [regions, boxes.gather_places(g, ranked, found)]


def _check(layer: BoundLayer, scores: ir.Value, deltas: ir.Value, anchors: int) -> tuple[int, int]:
    """(height, width) of the feature map."""
    p = layer.param
    layer.check(p.pre_nms_topn > 0 and p.post_nms_topn > 0, "pre_nms_topn and post_nms_topn must be positive")
    layer.check(p.nms_thresh >= 0, "nms_thresh must not be negative")
    for what, x, each in (("scores", scores, 2), ("deltas", deltas, 4)):
        layer.check(
            len(dims(x)) == 4 and dims(x)[1] == each * anchors,
            f"{anchors} anchors need {what} of {each * anchors} channels, they are {shape_text(dims(x))}",
        )
    layer.check(
        (dims(scores)[0], *dims(scores)[2:]) == (dims(deltas)[0], *dims(deltas)[2:]),
        f"scores are {shape_text(dims(scores))}, deltas {shape_text(dims(deltas))}",
    )
    height, width = (layer.static(size, "the height and width") for size in dims(scores)[2:])
    return height, width


def _anchors(layer: BoundLayer) -> np.ndarray:
    """(ratios * scales, 4): corners in pixels, every scale of the first ratio first.

    PVANET's scales are multiples of a base box with rounded sides. happynear's are pixels: the side of a
    square anchor. Only a weights file of its fork tells which they are.
    """
    p = layer.param
    layer.check(len(p.ratio) > 0 and len(p.scale) > 0, "needs at least one ratio and one scale")
    layer.check(min(p.ratio) > 0, "ratios must be positive")
    layer.check(all(map(math.isfinite, [*p.ratio, *p.scale])), "ratios and scales must be finite numbers")
    centre = (p.base_size - 1) / 2
    in_pixels = _HAPPYNEAR in parameter_fields(layer)
    if not in_pixels and max(p.scale) > _LARGEST_SCALE * p.base_size:
        layer.note(
            "its scales are read as multiples of base_size, as in PVANET: the largest square anchor has "
            f"{max(p.scale) * p.base_size:g} pixels a side. In happynear's fork they are pixels; its own "
            "caffemodel tells that the net is its"
        )
    corners = []
    for ratio in p.ratio:
        width = math.sqrt(p.base_size**2 / ratio)
        if not in_pixels:
            width = math.floor(width + 0.5)
        height = width * ratio if in_pixels else math.floor(width * ratio + 0.5)
        for scale in p.scale:
            if in_pixels:
                sides = [math.trunc(side * scale / p.base_size - 1 + 0.5) for side in (width, height)]
            else:
                sides = [width * scale - 1, height * scale - 1]
            reach = np.array(sides) / 2
            corners.append([*(centre - reach), *(centre + reach)])
    layer.check(np.abs(corners).max() < _LARGEST, "its anchors are larger than any image")
    return np.array(corners)


def _moved(g: Graph, layer: BoundLayer, deltas: ir.Value, anchors: np.ndarray) -> ir.Value:
    """The anchors at every place, moved and resized as predicted: (N, H * W * anchors, 4)."""
    n, _, h, w = dims(deltas)
    height, width = layer.static(h, "the height"), layer.static(w, "the width")
    layer.check_computed(height, width, len(anchors))
    places, count = np.meshgrid(np.arange(width), np.arange(height)), len(anchors)
    shift = np.stack(places, axis=-1)[:, :, None] * layer.param.feat_stride
    first, last = ((shift + ends).reshape(-1, 2) for ends in (anchors[:, :2], anchors[:, 2:]))
    size = (last - first + 1).astype(np.float32)
    centre = (first + 0.5 * size).astype(np.float32)
    total = height * width * count
    grouped = g.reshape(deltas, (n, count, 4, height, width))
    by_place = g.node("Transpose", grouped, shape=(n, height, width, count, 4), perm=(0, 3, 4, 1, 2))
    halves = [(n, total, 2)] * 2
    offset, growth = g.nodes(
        "Split", g.reshape(by_place, (n, total, 4)), np.array([2, 2], np.int64), shapes=halves, axis=2
    )
    middle = g.node("Add", g.node("Mul", offset, size), centre)
    reach = g.node("Mul", g.node("Exp", growth), size * np.float32(0.5))
    ends = g.node("Sub", middle, reach), g.node("Add", middle, reach)
    return g.node("Concat", *ends, shape=(n, total, 4), axis=2)


def _limited(g: Graph, layer: BoundLayer, corners: ir.Value, info: ir.Value) -> tuple[ir.Value, ir.Value]:
    """(corners within the image, the least width and height of a box)."""
    entries = product(dims(info)[1:])
    layer.check(
        isinstance(entries, int) and entries >= 3,
        f"the image's info must be height, width and one or two scales, it is {shape_text(dims(info))}",
    )
    rows = g.reshape(info, (dims(info)[0], entries))
    first = g.node("Gather", rows, np.array(0, np.int64), shape=(entries,), axis=0)
    size = g.node("Gather", first, np.array([1, 0, 1, 0], np.int64), shape=(4,), axis=0)
    last_pixel = g.node("Sub", size, scalar(1))
    inside = g.node("Max", g.node("Min", corners, last_pixel), scalar(0))
    scale_of_width = 2 if entries == 3 else 3
    scales = g.node("Gather", first, np.array([scale_of_width, 2], np.int64), shape=(2,), axis=0)
    return inside, g.node("Mul", scales, scalar(layer.param.min_size))


def _of_objects(g: Graph, scores: ir.Value, anchors: int) -> ir.Value:
    """The second half of the channels as (N, H * W * anchors)."""
    n, _, height, width = dims(scores)
    begin, end = (np.array([k * anchors], np.int64) for k in (1, 2))
    of_objects = g.node(
        "Slice", scores, begin, end, np.array([1], np.int64), shape=(n, anchors, height, width)
    )
    by_place = g.node("Transpose", of_objects, shape=(n, height, width, anchors), perm=(0, 2, 3, 1))
    return g.reshape(by_place, (n, product((height, width, anchors))))


def _as_large_as(g: Graph, corners: ir.Value, least: ir.Value) -> ir.Value:
    """(N, K): 1 for the boxes (N, K, 4) that are at least as wide and high as `least`, else 0."""
    shape = (*dims(corners)[:2], 2)
    halves = np.array([2, 2], np.int64)
    first, last = g.nodes("Split", corners, halves, shapes=[shape, shape], axis=2)
    size = g.node("Add", g.node("Sub", last, first), scalar(1))
    enough = g.node("GreaterOrEqual", size, least, dtype=ir.DataType.BOOL)
    both = g.cast(enough, ir.DataType.FLOAT)
    return g.node("ReduceMin", both, np.array([2], np.int64), shape=shape[:2], keepdims=0)
