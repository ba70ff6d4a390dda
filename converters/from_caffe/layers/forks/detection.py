"""SSD's layers: its prior boxes, and the choice of detections."""

from __future__ import annotations

import itertools
import math

import numpy as np
import onnx_ir as ir

from converters.from_caffe.bound_layer import BoundLayer
from converters.from_caffe.layers import adaptive_nms, boxes
from converters.from_caffe.layers.checks import image_size
from converters.from_caffe.layers.limits import FLT_MAX
from converters.from_caffe.layers.registry import layer
from converters.graph import Graph, dims, scalar, shape_text

_CORNER, _CENTER_SIZE, _CORNER_SIZE = 1, 2, 3
_SAME_RATIO = 1e-6
_DEFAULT_VARIANCE = 0.1


@layer("PriorBox", param="prior_box_param", fork_field_numbers=(150, 203, 212), in_place=False)
def prior_box(g: Graph, layer: BoundLayer, features: ir.Value, image: ir.Value) -> ir.Value:
    """A constant (1, 2, 4 * boxes): corners relative to the image, and the variances to decode with.

    Only the sizes of the two bottoms are used. Caffe reads min_size and max_size as integers: it drops their
    fractions.
    """
    p = layer.param
    height, width = image_size(layer, features)
    img_width, img_height = _size_in_pixels(layer, image)
    step_width, step_height = _steps(layer) or (img_width / width, img_height / height)
    x, y = np.meshgrid(
        (np.arange(width) + p.offset) * step_width, (np.arange(height) + p.offset) * step_height
    )
    half = np.array(_box_sizes(layer)) / 2
    centres = np.stack([x, y], axis=-1)[:, :, None]
    corners = np.concatenate([centres - half, centres + half], axis=-1) / ([img_width, img_height] * 2)
    if p.clip:
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


def _box_sizes(layer: BoundLayer) -> list[tuple[float, float]]:
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
    sizes: list[tuple[float, float]] = []
    for low, high in itertools.zip_longest(map(int, smallest), map(int, largest)):
        sizes.append((low, low))
        if high is not None:
            sizes.append((math.sqrt(low * high),) * 2)
        roots = [math.sqrt(ratio) for ratio in _aspect_ratios(layer)[1:]]
        sizes += [(low * root, low / root) for root in roots]
    return sizes


def _aspect_ratios(layer: BoundLayer) -> list[float]:
    """1, then the given ratios, each followed by its inverse if `flip` is set; none of them twice."""
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


@layer("DetectionOutput", param="detection_output_param", fork_field_numbers=(147, 204, 211), in_place=False)
def detection_output(
    g: Graph,
    layer: BoundLayer,
    locations: ir.Value,
    confidences: ir.Value,
    priors: ir.Value,
    image: ir.Value | None = None,
) -> ir.Value:
    """(1, 1, M, 7): image, label, score, xmin, ymin, xmax, ymax of what is detected.

    For each image and each class except the background, the top_k highest scores above confidence_threshold
    compete: a box is dropped if a better one overlaps it by more than nms_threshold. Of all that remain in an
    image, the keep_top_k highest are detections. They are sorted by image, then label, then falling score. Of
    equal scores at the limit, Caffe does not define which one stays; here the lower label does, then the
    earlier prior.
    """
    p = layer.param
    count, labels = _check_detection_output(layer, locations, confidences, priors)
    if not labels or p.keep_top_k == 0 or (p.nms_param.HasField("top_k") and p.nms_param.top_k == 0):
        return boxes.empty_detection_blob(g, locations)
    batch = dims(locations)[0]
    decoded = _decoded(g, layer, locations, priors, count)
    scores = _per_class(g, confidences, count, p.num_classes, labels)
    rows, top_k = dims(scores)[0], p.nms_param.top_k
    taken = min(top_k, count) if top_k > 0 else count
    scores, places = boxes.top_per_row(g, scores, taken)
    if p.share_location:
        candidates = boxes.gather_per_row(g, decoded, g.reshape(places, (batch, len(labels) * taken)))
        candidates = g.reshape(candidates, (rows, taken, 4))
    else:
        chosen = _classes(g, decoded, labels, p.num_classes)
        candidates = boxes.gather_per_row(g, g.reshape(chosen, (rows, count, 4)), places)
    mask = adaptive_nms.suppression_mask(
        g,
        layer,
        candidates if p.code_type == _CENTER_SIZE else _without_negative_sizes(g, candidates),
        scores,
        overlaps=adaptive_nms.thresholds(layer, p.nms_param.nms_threshold, p.nms_param.eta),
        least=p.confidence_threshold if p.HasField("confidence_threshold") else None,
    )
    in_image = (batch, len(labels) * taken)
    mask, scores = g.reshape(mask, in_image), g.reshape(scores, in_image)
    if -1 < p.keep_top_k < len(labels) * taken:
        mask = boxes.keep_top(g, mask, scores, p.keep_top_k)
    return _rows(g, layer, locations, mask, scores, g.reshape(candidates, (*in_image, 4)), labels)


def _rows(
    g: Graph,
    layer: BoundLayer,
    images: ir.Value,
    mask: ir.Value,
    scores: ir.Value,
    candidates: ir.Value,
    labels: list[int],
) -> ir.Value:
    """The rows of the candidates that the mask keeps. Each label has the same number of candidates."""
    taken = np.array(dims(mask)[1] // len(labels), np.int64)
    found = boxes.nonzero_places(g, layer, mask)
    position = g.node("Div", boxes.column(g, found, 1), taken)
    label = g.node("Gather", g.constant(np.array(labels, np.int64)), position, shape=dims(position), axis=0)
    columns = [
        boxes.as_float_column(g, boxes.column(g, found, 0)),
        boxes.as_float_column(g, label),
        g.reshape(boxes.gather_places(g, scores, found), (dims(found)[0], 1)),
        boxes.gather_places(g, candidates, found),
    ]
    result = g.node("Concat", *columns, shape=(dims(found)[0], boxes.DETECTION), axis=1)
    return boxes.detection_blob(g, layer, images, result)


def _check_detection_output(
    layer: BoundLayer, locations: ir.Value, confidences: ir.Value, priors: ir.Value
) -> tuple[int, list[int]]:
    """(number of priors, the labels that are detected)."""
    p = layer.param
    layer.check(p.num_classes > 0, "needs num_classes")
    nms = p.nms_param
    layer.check(nms.nms_threshold >= 0, "nms_threshold must not be negative")
    layer.check(0 < nms.eta <= 1, "eta must lie above 0 and at most at 1")
    size = layer.static(dims(priors)[-1], "the number of priors")
    layer.check(
        dims(priors)[:-1] == (1, 2) and size % 4 == 0,
        f"the priors must be 1x2x(4 * their number), they are {shape_text(dims(priors))}",
    )
    count, boxes_each = size // 4, 1 if p.share_location else p.num_classes
    for what, x, each in (
        ("locations", locations, 4 * boxes_each),
        ("confidences", confidences, p.num_classes),
    ):
        layer.check(
            len(dims(x)) >= 2 and dims(x)[1] == count * each and all(size == 1 for size in dims(x)[2:]),
            f"{count} priors need {count * each} {what}, they are {shape_text(dims(x))}",
        )
    layer.check(dims(locations)[0] == dims(confidences)[0], "locations and confidences differ in their batch")
    return count, [label for label in range(p.num_classes) if label != p.background_label_id]


def _per_class(g: Graph, x: ir.Value, count: int, classes: int, labels: list[int]) -> ir.Value:
    """Confidences (N, priors * classes) as rows (N * labels, priors)."""
    batch = dims(x)[0]
    by_prior = g.reshape(x, (batch, count, classes))
    by_class = g.node("Transpose", by_prior, shape=(batch, classes, count), perm=(0, 2, 1))
    return g.reshape(_classes(g, by_class, labels, classes), (batch * len(labels), count))


def _classes(g: Graph, x: ir.Value, labels: list[int], classes: int) -> ir.Value:
    if len(labels) == classes:
        return x
    shape = (dims(x)[0], len(labels), *dims(x)[2:])
    return g.node("Gather", x, np.array(labels, np.int64), shape=shape, axis=1)


def _decoded(g: Graph, layer: BoundLayer, locations: ir.Value, priors: ir.Value, count: int) -> ir.Value:
    """Boxes from predicted offsets: (N, priors, 4), or (N, classes, priors, 4) without share_location."""
    p = layer.param
    batch = dims(locations)[0]
    if p.share_location:
        offsets = g.reshape(locations, (batch, count, 4))
    else:
        by_prior = g.reshape(locations, (batch, count, p.num_classes, 4))
        by_class = (batch, p.num_classes, count, 4)
        offsets = g.node("Transpose", by_prior, shape=by_class, perm=(0, 2, 1, 3))
    corners, variances = _split(g, g.reshape(priors, (2, count, 4)), 0)
    if not p.variance_encoded_in_target:
        offsets = g.node("Mul", offsets, variances)
    if p.code_type == _CORNER:
        return g.node("Add", offsets, corners)
    first, second = _split(g, corners, 2)
    size = g.node("Sub", second, first)
    if p.code_type == _CORNER_SIZE:
        twice = g.node("Concat", size, size, shape=(1, count, 4), axis=2)
        return g.node("Add", g.node("Mul", offsets, twice), corners)
    centre = g.node("Mul", g.node("Add", first, second), scalar(0.5))
    shift, growth = _split(g, offsets, len(dims(offsets)) - 1)
    middle = g.node("Add", g.node("Mul", shift, size), centre)
    half = g.node("Mul", g.node("Mul", g.node("Exp", growth), size), scalar(0.5))
    ends = g.node("Sub", middle, half), g.node("Add", middle, half)
    return g.node("Concat", *ends, shape=dims(offsets), axis=len(dims(offsets)) - 1)


def _split(g: Graph, x: ir.Value, axis: int) -> list[ir.Value]:
    """The two halves of x along an axis."""
    size = dims(x)[axis]
    assert isinstance(size, int)
    half = (*dims(x)[:axis], size // 2, *dims(x)[axis + 1 :])
    return g.nodes("Split", x, np.array([size // 2] * 2, np.int64), shapes=[half, half], axis=axis)


def _without_negative_sizes(g: Graph, candidates: ir.Value) -> ir.Value:
    """Boxes with exchanged corners become boxes without area: in Caffe they overlap nothing."""
    first, second = _split(g, candidates, 2)
    ends = first, g.node("Max", first, second)
    return g.node("Concat", *ends, shape=dims(candidates), axis=2)
