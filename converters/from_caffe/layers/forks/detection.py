"""SSD's choice of detections."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from converters.from_caffe.bound_layer import BoundLayer
from converters.from_caffe.layers import adaptive_nms, boxes
from converters.from_caffe.layers.registry import layer
from converters.graph import Graph, scalar
from converters.sizes import dims, shape_text

_CORNER, _CENTER_SIZE, _CORNER_SIZE = 1, 2, 3


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
