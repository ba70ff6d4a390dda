"""Decoding a text from the class probabilities of each step."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from converters.from_caffe.bound_layer import BoundLayer
from converters.from_caffe.layers.checks import named_axes
from converters.from_caffe.layers.registry import layer
from converters.graph import Graph, scalar
from converters.sizes import Shape, dims, shape_text


@layer(
    "CTCGreedyDecoder",
    param="ctc_decoder_param",
    fork_field_numbers=(149, 158),
    in_place=False,
    tops=(1, 2),
    time_major_bottoms=2,
)
def ctc_greedy_decoder(
    g: Graph, layer: BoundLayer, probabilities: ir.Value, indicators: ir.Value | None = None
) -> list[ir.Value]:
    """The best class of every step without blanks and repetitions: (N, T, 1, 1), with -1 behind the last.

    probabilities: (T, N, C). indicators: (T, N), 0 where a new sequence begins, which ends the one before;
    without them, every sequence has all T steps (zqplgl's fork).
    The second top is minus the sum of the best classes' values, (N, 1, 1, 1). A negative blank_index is the
    last class.
    """
    p, shape = layer.param, named_axes(layer, probabilities, "time", "num", "classes")
    steps = layer.static(shape[0], "the number of steps")
    items, classes = shape[1], layer.static(shape[2], "the number of classes")
    best = g.node("ArgMax", probabilities, shape=(steps, items), dtype=ir.DataType.INT64, axis=2, keepdims=0)
    alive = _alive(g, layer, indicators, (steps, items)) if indicators is not None else None
    blank = p.blank_index if p.blank_index >= 0 else classes - 1
    differs = g.node("Equal", best, np.array(blank, np.int64), dtype=ir.DataType.BOOL)
    kept = g.node("Not", differs)
    if alive is not None:
        kept = g.node("And", alive, kept)
    if p.ctc_merge_repeated and steps > 1:
        kept = g.node("And", kept, g.node("Not", _repeated(g, best)))
    tops = [_compressed(g, best, kept)]
    if layer.top_count == 2:
        tops.append(_score(g, probabilities, alive))
    return tops


def _alive(g: Graph, layer: BoundLayer, indicators: ir.Value, shape: Shape) -> ir.Value:
    layer.check(
        dims(indicators)[:2] == shape and all(size == 1 for size in dims(indicators)[2:]),
        f"the indicators must be {shape_text(shape)}, they are {shape_text(dims(indicators))}",
    )
    return _within_first(g, g.reshape(indicators, shape))


def _within_first(g: Graph, indicators: ir.Value) -> ir.Value:
    """Whether a step belongs to the sequence that begins at step 0: bool (T, N)."""
    steps, items = dims(indicators)
    assert isinstance(steps, int)
    begins = g.node("Equal", indicators, scalar(0), dtype=ir.DataType.BOOL)
    numbers = g.cast(begins, ir.DataType.INT64)
    # The first step begins a sequence whatever its indicator says.
    counted = np.ones((steps, 1), np.int64)
    counted[0] = 0
    others = g.node("Mul", numbers, counted, shape=(steps, items))
    begun = g.node("CumSum", others, np.array(0, np.int64))
    return g.node("Equal", begun, np.array(0, np.int64), dtype=ir.DataType.BOOL)


def _repeated(g: Graph, best: ir.Value) -> ir.Value:
    """Whether a step has the class of the step before: bool (T, N)."""
    steps, items = dims(best)
    assert isinstance(steps, int)
    before = g.node(
        "Slice",
        best,
        np.zeros(1, np.int64),
        np.array([steps - 1], np.int64),
        np.zeros(1, np.int64),
        shape=(steps - 1, items),
    )
    shifted = g.node(
        "Pad", before, np.array([1, 0, 0, 0], np.int64), np.array(-1, np.int64), shape=(steps, items)
    )
    return g.node("Equal", best, shifted, dtype=ir.DataType.BOOL)


def _compressed(g: Graph, best: ir.Value, kept: ir.Value) -> ir.Value:
    """The kept classes of each sequence in front, -1 behind them: (N, T, 1, 1)."""
    steps, items = dims(best)
    assert isinstance(steps, int)
    numbers = g.cast(kept, ir.DataType.INT64)
    position = g.node("Sub", g.node("CumSum", numbers, np.array(0, np.int64)), np.array(1, np.int64))
    # A class that is not kept is written behind the end, where each step has its own place.
    behind = np.arange(steps, 2 * steps, dtype=np.int64)[:, None]
    place = g.node("Where", kept, position, behind, shape=(steps, items), dtype=ir.DataType.INT64)
    twice = (2 * steps, items)
    size = g.node("Shape", best, shape=(1,), dtype=ir.DataType.INT64, start=1, end=2)
    both = g.node("Concat", np.array([2 * steps], np.int64), size, shape=(2,), axis=0)
    empty = g.node("Expand", g.constant(np.array(-1, np.int64)), both, shape=twice)
    written = g.node("ScatterElements", empty, place, best, axis=0)
    zero, end = np.zeros(1, np.int64), np.array([steps], np.int64)
    front = g.node("Slice", written, zero, end, zero, shape=(steps, items))
    classes = g.cast(front, ir.DataType.FLOAT)
    by_item = g.node("Transpose", classes, shape=(items, steps), perm=(1, 0))
    return g.reshape(by_item, (items, steps, 1, 1))


def _score(g: Graph, probabilities: ir.Value, alive: ir.Value | None) -> ir.Value:
    steps, items = dims(probabilities)[:2]
    highest = g.node("ReduceMax", probabilities, np.array([2], np.int64), shape=(steps, items), keepdims=0)
    if alive is not None:
        highest = g.node("Where", alive, highest, scalar(0), shape=(steps, items), dtype=highest.dtype)
    total = g.node("ReduceSum", highest, np.array([0], np.int64), shape=(items,), keepdims=0)
    return g.reshape(g.node("Neg", total), (items, 1, 1, 1))
