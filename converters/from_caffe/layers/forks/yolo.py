"""The choice of detections in YOLO, versions 2 and 3, as the fork MobileNet-YOLO computes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from converters.from_caffe.bound_layer import BoundLayer
from converters.from_caffe.layers import boxes
from converters.from_caffe.layers.registry import layer
from converters.graph import Graph
from converters.sizes import dims, shape_text


@dataclass(frozen=True)
class _Candidates:
    """One row (1, K) of candidates: corners (1, K, 4), their best class and its confidence."""

    corners: ir.Value
    classes: ir.Value
    confidences: ir.Value


@layer("YoloDetectionOutput", param="yolo_detection_output_param", fork_field_numbers=(601,), in_place=False)
def yolo_detection_output(
    g: Graph, layer: BoundLayer, first: ir.Value, second: ir.Value | None = None
) -> ir.Value:
    """(1, 1, M, 7) as DetectionOutput, labels from 1, by falling confidence; both maps use the same anchors.

    A box belongs to its most probable class. Its confidence is the probability of this class times that of an
    object, and must reach confidence_threshold. A box is dropped if its overlap with a better one of any
    class reaches nms_threshold. All images of a batch form one list, and each row names image 0.
    """
    p = layer.param
    layer.check(p.HasField("num_classes"), "needs num_classes")
    layer.check(
        p.num_box > 0 and len(p.biases) >= 2 * p.num_box, "biases are a width and a height for each box"
    )
    anchors = np.array(p.biases[: 2 * p.num_box]).reshape(-1, 2)
    maps = [first] if second is None else [first, second]
    found = [_candidates(g, layer, x, anchors, 1, exclusive=True) for x in maps]
    least = float(np.nextafter(np.float32(p.confidence_threshold), np.float32(-np.inf)))
    return _detections(g, layer, first, found, least)


@layer(
    "Yolov3DetectionOutput",
    param="yolov3_detection_output_param",
    fork_field_numbers=(602, 603),
    in_place=False,
)
def yolov3_detection_output(g: Graph, layer: BoundLayer, *maps: ir.Value) -> ir.Value:
    """As YoloDetectionOutput, with its own anchors for each map and classes that do not exclude each other.

    The confidence must exceed confidence_threshold. In Caffe a box competes once for every class, but because
    it overlaps itself completely, only its best class can remain.
    """
    p = layer.param
    layer.check(p.HasField("num_classes"), "needs num_classes")
    layer.check(
        len(maps) == p.mask_group_num, f"mask_group_num is {p.mask_group_num}, bottoms are {len(maps)}"
    )
    layer.check(len(p.anchors_scale) >= len(maps), "needs an anchors_scale for each bottom")
    each = len(p.mask) // p.mask_group_num
    last = each * (len(maps) - 1) + p.num_box
    layer.check(p.num_box > 0 and last <= len(p.mask), f"num_box {p.num_box} needs {last} masks")
    biases = np.array(p.biases[: len(p.biases) // 2 * 2]).reshape(-1, 2)
    layer.check(max(p.mask[:last]) < len(biases), "biases are a width and a height for each mask")
    if p.nms_threshold > 1:
        raise layer.unsupported("an nms_threshold above 1 keeps every class of a box")
    found = []
    for k, x in enumerate(maps):
        anchors = biases[list(p.mask[k * each : k * each + p.num_box])]
        found.append(_candidates(g, layer, x, anchors, p.anchors_scale[k], exclusive=False))
    return _detections(g, layer, maps[0], found, p.confidence_threshold)


def _candidates(
    g: Graph, layer: BoundLayer, x: ir.Value, anchors: np.ndarray, scale: int, *, exclusive: bool
) -> _Candidates:
    """The predictions of a map (N, anchors * (5 + classes), H, W), image by image, place by place.

    exclusive: the classes exclude each other, as in version 2, whose layer reads only square maps correctly.
    """
    classes, count = layer.param.num_classes, len(anchors)
    shape = dims(x)
    layer.check(
        len(shape) == 4 and shape[1] == count * (5 + classes) and (shape[2] == shape[3] or not exclusive),
        f"{count} boxes of {classes} classes need a {'square ' if exclusive else ''}map of "
        f"{count * (5 + classes)} channels, it is {shape_text(shape)}",
    )
    layer.check(classes > 0 and scale > 0, "num_classes and anchors_scale must be positive")
    n = layer.static(shape[0], "the batch")
    height, width = (layer.static(size, "the size of the map") for size in shape[2:])
    total = n * height * width * count
    grouped = g.reshape(x, (n, count, 5 + classes, height, width))
    by_place = g.node(
        "Transpose", grouped, shape=(n, height, width, count, 5 + classes), perm=(0, 3, 4, 1, 2)
    )
    parts = (2, 2, 1, classes)
    place, growth, objects, scores = g.nodes(
        "Split",
        g.reshape(by_place, (1, total, 5 + classes)),
        np.array(parts, np.int64),
        shapes=[(1, total, part) for part in parts],
        axis=2,
    )
    layer.check_computed(n, height, width, count)
    columns, rows = np.meshgrid(np.arange(width), np.arange(height))
    cells = np.tile(np.repeat(np.stack([columns, rows], -1).reshape(-1, 2), count, axis=0), (n, 1))
    cell = g.constant(cells.astype(np.float32))
    size = np.array([width, height], np.float32)
    centre = g.node("Div", g.node("Add", g.node("Sigmoid", place), cell), size)
    half = np.tile(anchors / (2 * size * scale), (n * height * width, 1)).astype(np.float32)
    reach = g.node("Mul", g.node("Exp", growth), half)
    ends = g.node("Sub", centre, reach), g.node("Add", centre, reach)
    corners = g.node("Concat", *ends, shape=(1, total, 4), axis=2)
    each = g.node("Softmax", scores, axis=2) if exclusive else g.node("Sigmoid", scores)
    confidence = g.node("Mul", each, g.node("Sigmoid", objects))
    best = g.node("ReduceMax", confidence, np.array([2], np.int64), shape=(1, total), keepdims=0)
    label = g.node("ArgMax", confidence, shape=(1, total), dtype=ir.DataType.INT64, axis=2, keepdims=0)
    return _Candidates(corners, label, best)


def _detections(
    g: Graph, layer: BoundLayer, images: ir.Value, found: Sequence[_Candidates], least: float
) -> ir.Value:
    threshold = layer.param.nms_threshold
    if threshold <= 0:
        raise layer.unsupported("an nms_threshold of 0 lets only one box remain")
    corners = _joined(g, layer, [one.corners for one in found])
    confidences = _joined(g, layer, [one.confidences for one in found])
    classes = _joined(g, layer, [one.classes for one in found])
    total = layer.static(dims(confidences)[1], "the number of boxes")
    confidences, places = boxes.top_per_row(g, confidences, total)
    corners, classes = boxes.gather_per_row(g, corners, places), boxes.gather_per_row(g, classes, places)
    below = float(np.nextafter(np.float32(threshold), np.float32(0)))
    kept = boxes.nonzero_places(
        g, layer, boxes.suppression_mask(g, layer, corners, confidences, overlap=below, least=least)
    )
    label = boxes.gather_places(g, classes, kept)
    columns = [
        boxes.as_float_column(g, boxes.column(g, kept, 0)),
        boxes.as_float_column(g, g.node("Add", label, np.array(1, np.int64))),
        g.reshape(boxes.gather_places(g, confidences, kept), (dims(kept)[0], 1)),
        boxes.gather_places(g, corners, kept),
    ]
    rows = g.node("Concat", *columns, shape=(dims(kept)[0], boxes.DETECTION), axis=1)
    return boxes.detection_blob(g, layer, images, rows)


def _joined(g: Graph, layer: BoundLayer, values: Sequence[ir.Value]) -> ir.Value:
    """Rows (1, K, ...) one behind the other."""
    if len(values) == 1:
        return values[0]
    total = layer.sum_of_sizes(dims(x)[1] for x in values)
    return g.node("Concat", *values, shape=(1, total, *dims(values[0])[2:]), axis=1)
