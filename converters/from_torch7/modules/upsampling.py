"""Modules that enlarge maps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from converters.errors import FormatError, MismatchError
from converters.from_torch7.builder import Builder
from converters.from_torch7.expectation import batch_first
from converters.from_torch7.module import Module
from converters.from_torch7.registry import module
from converters.graph import Dim, dims, shape_text


def nearest(g: Builder, m: Module, x: ir.Value, sides: int) -> ir.Value:
    """Each entry of the last dimensions repeated scale_factor times."""
    factor = m.integer("scale_factor", least=1)
    lead = len(dims(x)) - sides
    scales = np.array([1.0] * lead + [float(factor)] * sides, np.float32)
    shape = (*dims(x)[:lead], *(size * factor for size in dims(x)[lead:]))
    return g.node(
        "Resize", x, None, scales, shape=shape,
        mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor",
    )  # fmt: skip


def linear(g: Builder, m: Module, x: ir.Value, sizes: Sequence[Dim]) -> ir.Value:
    """The last dimensions interpolated linearly to these sizes, corner pixels on corner pixels."""
    lead = len(dims(x)) - len(sizes)
    shape = (*dims(x)[:lead], *sizes)
    target = np.array([m.known(size) for size in shape], np.int64)
    return g.node(
        "Resize", x, None, None, target, shape=shape,
        mode="linear", coordinate_transformation_mode="align_corners",
    )  # fmt: skip


@module("SpatialUpSamplingNearest", name="upsample", rank=4, expects=batch_first(None, None, None))
def spatial_up_sampling_nearest(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """Each pixel becomes scale_factor x scale_factor pixels."""
    return nearest(g, m, x, 2)


@module("SpatialUpSamplingBilinear", name="upsample", rank=4, expects=batch_first(None, None, None))
def spatial_up_sampling_bilinear(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """Bilinear, to oheight x owidth or by scale_factor."""
    return linear(g, m, x, wanted_sizes(m, x, ("oheight", "owidth")))


def wanted_sizes(m: Module, x: ir.Value, fields: Sequence[str]) -> list[Dim]:
    """The sizes that fields name, or scale_factor times those of the input."""
    if m.has("scale_factor"):
        factor = m.integer("scale_factor", least=1)
        return [size * factor for size in dims(x)[-len(fields) :]]
    return [m.integer(field, least=1) for field in fields]


@module("UpSampling", name="upsample", expects=None)
def up_sampling(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """Nearest or (bi-, tri-)linear, for maps (4-D) and volumes (5-D)."""
    if len(dims(x)) not in (4, 5):
        raise m.error(FormatError, f"takes 4-D or 5-D input, not {shape_text(dims(x))}")
    fields = ("odepth", "oheight", "owidth")[5 - len(dims(x)) :]
    if m.text("mode", "nearest") == "nearest":
        return nearest(g, m, x, len(fields))
    return linear(g, m, x, wanted_sizes(m, x, fields))


@module("PixelShuffle", rank=4, expects=batch_first(None, None, None))
def pixel_shuffle(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """r x r channels become r x r pixels of one."""
    factor = m.integer("upscaleFactor", least=1)
    batch, channels, height, width = dims(x)
    if isinstance(channels, int) and channels % factor**2:
        raise m.error(MismatchError, f"{channels} channels do not divide by {factor} x {factor}")
    shape = (batch, channels // factor**2, height * factor, width * factor)
    return g.node("DepthToSpace", x, shape=shape, blocksize=factor, mode="CRD")
