"""Sums, means and extremes along a dimension."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from converters.errors import FormatError
from converters.from_torch7.builder import Builder
from converters.from_torch7.module import Module
from converters.from_torch7.registry import module
from converters.sizes import dims, shape_text


def axis_behind_batch(m: Module, x: ir.Value, name: str = "dimension", rank: str = "nInputDims") -> int:
    """The axis (from 0) that a field names from 1, or from the end if negative.

    If x has one dimension more than the field `rank` says, the first one is the batch and does not count.
    """
    index, have = m.integer(name), len(dims(x))
    if index < 0:
        index += have + 1
    elif m.optional_integer(rank) == have - 1:
        index += 1
    if not 1 <= index <= have:
        raise m.error(FormatError, f"works along dimension {index}, but the input is {shape_text(dims(x))}")
    return index - 1


def reduce(g: Builder, op_type: str, x: ir.Value, axis: int, keep: bool = False) -> ir.Value:
    """ReduceSum, ReduceMax, ... of one dimension; with `keep`, or if x is 1-D, it stays as size 1."""
    keep = keep or len(dims(x)) == 1
    shape = [1 if k == axis else size for k, size in enumerate(dims(x)) if keep or k != axis]
    return g.node(op_type, x, np.array([axis], np.int64), shape=shape, keepdims=int(keep))


@module("Sum")
def sum_module(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """The sum along a dimension, or with sizeAverage the mean.

    The dimension goes unless `squeeze` says that it stays; old files have no such field.
    """
    op_type = "ReduceMean" if m.flag("sizeAverage") else "ReduceSum"
    return reduce(g, op_type, x, axis_behind_batch(m, x), keep=not m.flag("squeeze", default=True))


@module("Mean")
def mean(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """The mean along a dimension."""
    return reduce(g, "ReduceMean", x, axis_behind_batch(m, x), keep=not m.flag("squeeze", default=True))


@module("Max")
def maximum(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """The largest value along a dimension."""
    return reduce(g, "ReduceMax", x, axis_behind_batch(m, x))


@module("Min")
def minimum(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """The smallest value along a dimension."""
    return reduce(g, "ReduceMin", x, axis_behind_batch(m, x))
