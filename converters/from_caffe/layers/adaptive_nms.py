"""Non-maximum suppression whose threshold falls with every box that is kept (SSD's eta).

The threshold t of the next box is eta * t while t exceeds 0.5. So only the first few boxes have different
thresholds: these boxes are chosen one by one, in all rows at once, and ONNX's NonMaxSuppression chooses the
others by the last threshold.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from converters.from_caffe.bound_layer import BoundLayer
from converters.from_caffe.layers import boxes
from converters.from_caffe.layers.limits import FLT_MAX
from converters.from_caffe.layers.runtime_shapes import full_like
from converters.graph import Graph, scalar
from converters.sizes import dims

_LOWERED_ABOVE = 0.5
# Each step is about 30 nodes; 64 steps are enough for eta from 0.99 on at a threshold of 0.95.
_MOST_STEPS = 64


def thresholds(layer: BoundLayer, first: float, eta: float) -> list[float]:
    """The thresholds of the first boxes, then the one of all others, computed in float32 as Caffe does."""
    steps, overlap = [np.float32(first)], np.float32(eta)
    while eta < 1 and steps[-1] > _LOWERED_ABOVE:
        steps.append(steps[-1] * overlap)
        if len(steps) > _MOST_STEPS + 1:
            raise layer.unsupported(
                f"eta {eta:g} lowers the threshold more than {_MOST_STEPS} times, the most that is converted"
            )
    return [float(step) for step in steps]


def suppression_mask(
    g: Graph,
    layer: BoundLayer,
    candidates: ir.Value,
    scores: ir.Value,
    *,
    overlaps: Sequence[float],
    least: float | None,
) -> ir.Value:
    """`boxes.suppression_mask` with one threshold for each of the first boxes; the last is for the others.

    candidates: (B, K, 4), corners, and scores: (B, K), both in falling order of the scores.
    """
    if len(overlaps) == 1:
        return boxes.suppression_mask(g, layer, candidates, scores, overlap=overlaps[0], least=least)
    count = dims(scores)[1]
    assert isinstance(count, int)
    least = -FLT_MAX if least is None else least
    considered = g.cast(g.node("Greater", scores, scalar(least), dtype=ir.DataType.BOOL), ir.DataType.FLOAT)
    order = np.arange(count, dtype=np.int64)[None]
    kept, worst = full_like(g, scores, 0), full_like(g, scores, 0)
    for overlap in overlaps[:-1][:count]:
        passing = _passing(g, considered, worst, overlap)
        place = g.node(
            "ArgMax", passing, shape=(dims(scores)[0], 1), dtype=ir.DataType.INT64, axis=1, keepdims=1
        )
        here = g.node("Equal", g.constant(order), place, shape=dims(scores), dtype=ir.DataType.BOOL)
        kept = g.node("Add", kept, g.node("Mul", passing, g.cast(here, ir.DataType.FLOAT)))
        later = g.node("Greater", g.constant(order), place, shape=dims(scores), dtype=ir.DataType.BOOL)
        considered = g.node("Mul", considered, g.cast(later, ir.DataType.FLOAT))
        worst = g.node("Max", worst, _overlaps(g, candidates, boxes.gather_per_row(g, candidates, place)))
    passing = _passing(g, considered, worst, overlaps[-1])
    still = g.node("Greater", passing, scalar(0), dtype=ir.DataType.BOOL)
    remaining = g.node("Where", still, scores, scalar(-FLT_MAX), shape=dims(scores), dtype=scores.dtype)
    others = boxes.suppression_mask(g, layer, candidates, remaining, overlap=overlaps[-1], least=least)
    return g.node("Add", kept, others)


def _passing(g: Graph, considered: ir.Value, worst: ir.Value, overlap: float) -> ir.Value:
    """1 for the considered candidates that no kept one overlaps by more than `overlap`, else 0."""
    apart = g.node("LessOrEqual", worst, scalar(overlap), dtype=ir.DataType.BOOL)
    return g.node("Mul", considered, g.cast(apart, ir.DataType.FLOAT))


def _overlaps(g: Graph, candidates: ir.Value, box: ir.Value) -> ir.Value:
    """(B, K): intersection over union of each candidate (B, K, 4) with the box (B, 1, 4) of its row."""
    first, second = _corners(g, candidates)
    box_first, box_second = _corners(g, box)
    sides = g.node("Sub", g.node("Min", second, box_second), g.node("Max", first, box_first))
    common = _product(g, g.node("Max", sides, scalar(0)))
    areas = _product(g, g.node("Sub", second, first)), _product(g, g.node("Sub", box_second, box_first))
    union = g.node("Sub", g.node("Add", *areas), common)
    return g.node("Div", common, g.node("Max", union, scalar(float(np.finfo(np.float32).tiny))))


def _corners(g: Graph, x: ir.Value) -> list[ir.Value]:
    shape = (*dims(x)[:2], 2)
    return g.nodes("Split", x, np.array([2, 2], np.int64), shapes=[shape, shape], axis=2)


def _product(g: Graph, sides: ir.Value) -> ir.Value:
    return g.node("ReduceProd", sides, np.array([2], np.int64), shape=dims(sides)[:2], keepdims=0)
