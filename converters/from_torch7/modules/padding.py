"""Modules that add entries at the borders, or with negative amounts take them away."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from converters.errors import FormatError
from converters.from_torch7.builder import Builder
from converters.from_torch7.module import Module
from converters.from_torch7.registry import batch_first, module
from converters.graph import dims, static


def pad_or_crop(
    g: Builder, m: Module, x: ir.Value, pads: Sequence[tuple[int, int]], mode: str | None = None
) -> ir.Value:
    """x with (before, after) entries per dimension; negative amounts are cut off first."""
    for axis, (before, after) in enumerate(pads):
        if min(before, after) < 0:
            size = static(dims(x)[axis], f"the size cropped at {m.place}")
            start, stop = max(0, -before), size - max(0, -after)
            if start >= stop:
                raise m.error(FormatError, f"cuts {-min(before, 0)} and {-min(after, 0)} entries off {size}")
            x = g.slice(x, axis, start, stop)
    grow = [(max(0, before), max(0, after)) for before, after in pads]
    return g.pad(x, grow, mode) if any(map(any, grow)) else x


@module("SpatialZeroPadding", name="pad", rank=4, expects=lambda m: batch_first(None, None, None))
def spatial_zero_padding(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """Zeros at the four sides."""
    sides = [m.integer(f"pad_{side}") for side in "tblr"]
    return pad_or_crop(g, m, x, [(0, 0), (0, 0), (sides[0], sides[1]), (sides[2], sides[3])])
