"""Modules that add entries at the borders; negative amounts remove entries."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from converters.errors import FormatError
from converters.from_torch7.backward_shape_inference import batch_first
from converters.from_torch7.builder import Builder
from converters.from_torch7.module import Module
from converters.from_torch7.modules.checks import check_rank
from converters.from_torch7.registry import module
from converters.sizes import dims


def pad_or_crop(
    g: Builder,
    m: Module,
    x: ir.Value,
    pads: Sequence[tuple[int, int]],
    mode: str | None = None,
    value: float = 0,
) -> ir.Value:
    """x with (before, after) entries added to its last dimensions; negative amounts are cut off first."""
    pads = [(0, 0)] * (len(dims(x)) - len(pads)) + list(pads)
    for axis, (before, after) in enumerate(pads):
        if min(before, after) < 0:
            size, start, end = dims(x)[axis], max(0, -before), max(0, -after)
            if isinstance(size, int) and start + end >= size:
                raise m.error(FormatError, f"cuts {start} and {end} entries off {size}")
            x = g.crop(x, axis, start, end)
    grow = [(max(0, before), max(0, after)) for before, after in pads]
    for have, pair in zip(dims(x), grow, strict=True):
        if mode == "reflect" and isinstance(have, int) and max(pair) >= have:
            raise m.error(FormatError, f"{have} entries cannot be mirrored over {max(pair)}")
    return g.pad(x, grow, mode, value) if any(map(any, grow)) else x


def spatial_pads(m: Module, in_c: bool = False) -> list[tuple[int, int]]:
    """The padding of the Spatial classes: (top, bottom) and (left, right).

    in_c: the class pads in C, which cuts off fractions. Those that pad in Lua fail with fractions.
    """
    read = m.c_integer if in_c else m.integer
    top, bottom, left, right = (read(f"pad_{side}") for side in "tblr")
    return [(top, bottom), (left, right)]


@module("SpatialZeroPadding", name="pad", rank=4, expects=batch_first(None, None, None))
def spatial_zero_padding(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """Zeros at the four sides."""
    return pad_or_crop(g, m, x, spatial_pads(m))


@module("SpatialReflectionPadding", name="pad", rank=4, expects=batch_first(None, None, None))
def spatial_reflection_padding(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """The image mirrored at its border pixels."""
    return pad_or_crop(g, m, x, spatial_pads(m, in_c=True), "reflect")


@module("SpatialSymmetricPadding", name="pad", rank=4, expects=batch_first(None, None, None))
def spatial_symmetric_padding(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """The image mirrored at its borders, the border pixels included (DeepMask)."""
    pads = spatial_pads(m)
    x = pad_or_crop(g, m, x, [(min(before, 0), min(after, 0)) for before, after in pads])
    for axis, pair in enumerate(pads, 2):
        before, after = (max(0, amount) for amount in pair)
        have = dims(x)[axis]
        m.check_element_count(before, after)
        if isinstance(have, int) and max(before, after) > have:
            raise m.error(FormatError, f"{have} entries cannot be mirrored over {max(before, after)}")
        left, right = np.arange(before)[::-1], -1 - np.arange(after)
        x = g.concat([*gather_entries(g, x, axis, left), x, *gather_entries(g, x, axis, right)], axis)
    return x


@module("SpatialCircularPadding", name="pad", expects=batch_first(None, None, None))
def spatial_circular_padding(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """The image continued on each side by its opposite side (texture_nets)."""
    check_rank(m, x, 4)
    for axis, (before, after) in enumerate(spatial_pads(m), 2):
        have = dims(x)[axis]
        if min(before, after) < 0:
            raise m.error(FormatError, f"pads by {min(before, after)}; expected 0 or more")
        m.check_element_count(before, after)
        if isinstance(have, int) and max(before, after) > have:
            raise m.error(FormatError, f"{have} entries cannot be continued by {max(before, after)}")
        left, right = np.arange(-before, 0), np.arange(after)
        x = g.concat([*gather_entries(g, x, axis, left), x, *gather_entries(g, x, axis, right)], axis)
    return x


def gather_entries(g: Builder, x: ir.Value, axis: int, places: np.ndarray) -> list[ir.Value]:
    """The entries at these places of a dimension, as a list that is empty if there are no places."""
    shape = [len(places) if k == axis else size for k, size in enumerate(dims(x))]
    indices = np.ascontiguousarray(places, np.int64)
    return [g.node("Gather", x, indices, shape=shape, axis=axis)] if len(places) else []


@module("SpatialReplicationPadding", name="pad", rank=4, expects=batch_first(None, None, None))
def spatial_replication_padding(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """The border pixels repeated."""
    return pad_or_crop(g, m, x, spatial_pads(m, in_c=True), "edge")


@module("VolumetricReplicationPadding", name="pad", rank=5, expects=batch_first(None, None, None, None))
def volumetric_replication_padding(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """The border voxels repeated."""
    pairs = [("pfront", "pback"), ("ptop", "pbottom"), ("pleft", "pright")]
    return pad_or_crop(
        g, m, x, [(m.c_integer(before), m.c_integer(after)) for before, after in pairs], "edge"
    )


@module("Padding", name="pad")
def padding(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """|pad| entries of `value` inserted in a dimension before entry `index` (from the end if pad > 0)."""
    axis, amount, index = m.integer("dim") - 1, m.integer("pad"), m.integer("index", 1)
    inner = m.optional_integer("nInputDim")
    if inner is not None and len(dims(x)) != inner:
        axis += 1
    if not 0 <= axis < len(dims(x)):
        raise m.error(FormatError, f"pads dimension {axis + 1} of {len(dims(x))}")
    value = m.number("value", 0)
    pads = [(0, 0)] * len(dims(x))
    front = amount <= 0
    if index != 1:
        size = m.static_size(dims(x)[axis])
        split = size - index + 1 if amount > 0 else index - 1
        if not 0 <= split <= size:
            raise m.error(FormatError, f"pads at index {index} of {size} entries")
        if 0 < split < size:
            pads[axis] = (0, abs(amount))
            first = g.pad(g.slice(x, axis, 0, split), pads, value=value)
            return g.concat([first, g.slice(x, axis, split, size)], axis)
        front = split == 0
    pads[axis] = (abs(amount), 0) if front else (0, abs(amount))
    return g.pad(x, pads, value=value)
