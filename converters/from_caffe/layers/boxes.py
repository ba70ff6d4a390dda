"""Non-maximum suppression as a mask, and Caffe's rows of detections, for all layers that choose boxes.

For one row of candidates, ONNX's NonMaxSuppression computes what Caffe computes. It takes the highest score
first, and of equal scores the first candidate; it drops a candidate whose overlap with one that was kept
exceeds the threshold. Its result becomes a mask over the candidates, because ONNX does not define the order
of its rows.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from converters.from_caffe.bound_layer import BoundLayer
from converters.from_caffe.layers.limits import FLT_MAX
from converters.from_caffe.layers.runtime_shapes import full_like, shape_tensor
from converters.graph import Graph, scalar
from converters.graph_bounds import check_computed
from converters.sizes import Symbol, dims

# image, label, score, xmin, ymin, xmax, ymax
DETECTION = 7


def suppression_mask(
    g: Graph,
    layer: BoundLayer,
    boxes: ir.Value,
    scores: ir.Value,
    *,
    overlap: float,
    least: float | None = None,
    limit: int | None = None,
) -> ir.Value:
    """A float32 mask (B, K): 1 for the candidates that the suppression keeps in their row, else 0.

    boxes: (B, K, 4), opposite corners. scores: (B, K); candidates not above `least` are dropped. At most
    `limit` are kept in a row.
    """
    rows, candidates = dims(scores)
    kept = Symbol(f"{layer.name}_survivors")
    chosen = g.node(
        "NonMaxSuppression",
        boxes,
        g.reshape(scores, (rows, 1, candidates)),
        np.array(candidates if limit is None else limit, np.int64),
        scalar(min(overlap, 1)),
        scalar(least) if least is not None else None,
        shape=(kept, 3),
        dtype=ir.DataType.INT64,
    )
    where = g.node("Gather", chosen, np.array([0, 2], np.int64), shape=(kept, 2), axis=1)
    ones = g.node("Expand", g.constant(scalar(1)), shape_tensor(g, where, (kept,)), shape=(kept,))
    return g.node("ScatterND", full_like(g, scores, 0), where, ones)


def top_per_row(g: Graph, scores: ir.Value, count: int) -> tuple[ir.Value, ir.Value]:
    """(values, places) of the `count` highest scores of each row of (B, K), in falling order."""
    shape = (dims(scores)[0], count)
    values, places = g.nodes(
        "TopK",
        scores,
        np.array([count], np.int64),
        shapes=[shape, shape],
        dtypes=[ir.DataType.FLOAT, ir.DataType.INT64],
        axis=1,
    )
    return values, places


def keep_top(g: Graph, mask: ir.Value, scores: ir.Value, count: int) -> ir.Value:
    """The mask (B, K) with only the `count` highest scores of each row left."""
    passed = g.node("Greater", mask, scalar(0), dtype=ir.DataType.BOOL)
    in_play = g.node("Where", passed, scores, scalar(-FLT_MAX), shape=dims(scores), dtype=scores.dtype)
    _, places = top_per_row(g, in_play, count)
    ones = g.node("Expand", g.constant(scalar(1)), shape_tensor(g, scores, dims(places)), shape=dims(places))
    return g.node("Mul", mask, g.node("ScatterElements", full_like(g, mask, 0), places, ones, axis=1))


def gather_per_row(g: Graph, values: ir.Value, places: ir.Value) -> ir.Value:
    """The entries of each row of (B, K, ...) at the places (B, M) of this row: (B, M, ...)."""
    index = g.reshape(places, (*dims(places), 1))
    shape = (*dims(places), *dims(values)[2:])
    return g.node("GatherND", values, index, shape=shape, batch_dims=1)


def nonzero_places(g: Graph, layer: BoundLayer, mask: ir.Value) -> ir.Value:
    """int64 (M, 2): row and column of every entry of (B, K) that is not 0, row by row."""
    found = Symbol(f"{layer.name}_found")
    places = g.node("NonZero", mask, shape=(2, found), dtype=ir.DataType.INT64)
    return g.node("Transpose", places, shape=(found, 2), perm=(1, 0))


def gather_places(g: Graph, values: ir.Value, places: ir.Value) -> ir.Value:
    """The entries of (B, K, ...) at (row, column) pairs (M, 2): (M, ...)."""
    return g.node("GatherND", values, places, shape=(dims(places)[0], *dims(values)[2:]))


def column(g: Graph, values: ir.Value, index: int) -> ir.Value:
    """One column of (M, C) as (M,)."""
    return g.node("Gather", values, np.array(index, np.int64), shape=dims(values)[:1], axis=1)


def as_float_column(g: Graph, values: ir.Value) -> ir.Value:
    """(M,) as a float32 column (M, 1)."""
    floats = g.cast(values, ir.DataType.FLOAT)
    return g.reshape(floats, (*dims(values), 1))


def detection_blob(g: Graph, layer: BoundLayer, images: ir.Value, rows: ir.Value) -> ir.Value:
    """Rows (M, 7) as Caffe's blob (1, 1, M, 7). If there are none, each image has a row: its index, then -1s.

    images: any blob whose first axis is the batch.
    """
    zero = np.zeros(1, np.int64)
    found = g.node("Shape", rows, shape=(1,), dtype=ir.DataType.INT64, start=0, end=1)
    none = g.node("Equal", found, zero, dtype=ir.DataType.BOOL)
    batch = shape_tensor(g, images, dims(images)[:1])
    wanted = g.node("Where", none, batch, zero, shape=(1,), dtype=ir.DataType.INT64)
    missing, all_rows = Symbol(f"{layer.name}_missing"), Symbol(f"{layer.name}_detections")
    instead = g.node("Slice", _placeholders(g, images), zero, wanted, zero, shape=(missing, DETECTION))
    together = g.node("Concat", rows, instead, shape=(all_rows, DETECTION), axis=0)
    return g.reshape(together, (1, 1, all_rows, DETECTION))


def empty_detection_blob(g: Graph, images: ir.Value) -> ir.Value:
    """The result of `detections` for no rows."""
    return g.reshape(_placeholders(g, images), (1, 1, dims(images)[0], DETECTION))


def _placeholders(g: Graph, images: ir.Value) -> ir.Value:
    """(N, 7): the index of each image, then -1s."""
    batch = dims(images)[0]
    if not isinstance(batch, Symbol):
        check_computed(batch, DETECTION)
        rows = np.full((batch, DETECTION), -1, np.float32)
        rows[:, 0] = np.arange(batch)
        return g.constant(rows)
    count = g.node("Shape", images, shape=(1,), dtype=ir.DataType.INT64, start=0, end=1)
    end = g.node("Squeeze", count, np.zeros(1, np.int64), shape=())
    index = g.node("Range", g.constant(np.array(0, np.int64)), end, np.array(1, np.int64), shape=(batch,))
    pads = np.array([0, 0, 0, DETECTION - 1], np.int64)
    return g.node("Pad", as_float_column(g, index), pads, scalar(-1), shape=(batch, DETECTION))
