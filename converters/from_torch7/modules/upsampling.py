"""Modules that enlarge maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from converters.errors import MismatchError
from converters.from_torch7.backward_shape_inference import batch_first
from converters.from_torch7.builder import Builder
from converters.from_torch7.module import Module
from converters.from_torch7.modules.checks import check_rank
from converters.from_torch7.registry import module
from converters.sizes import dims

_SIDES = ("odepth", "oheight", "owidth")
_NEAREST = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
# The corner pixels of input and output coincide.
LINEAR: dict[str, Any] = {"mode": "linear", "coordinate_transformation_mode": "align_corners"}


def enlarge(g: Builder, m: Module, x: ir.Value, mode: Mapping[str, Any], fields: Sequence[str]) -> ir.Value:
    """Resize of the last dimensions, by scale_factor or to the sizes in these fields."""
    kept = len(dims(x)) - len(fields)
    if m.has("scale_factor"):
        factor = m.integer("scale_factor", minimum=1)
        scales = np.repeat([1, factor], [kept, len(fields)]).astype(np.float32)
        shape = (*dims(x)[:kept], *(size * factor for size in dims(x)[kept:]))
        return g.node("Resize", x, None, scales, shape=shape, **mode)
    sizes = [m.integer(name, minimum=1) for name in fields]
    axes = list(range(kept, len(dims(x))))
    target = np.array(sizes, np.int64)
    return g.node("Resize", x, None, None, target, shape=(*dims(x)[:kept], *sizes), axes=axes, **mode)


@module("SpatialUpSamplingNearest", name="upsample", rank=4, expects=batch_first(None, None, None))
def spatial_up_sampling_nearest(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """Each pixel becomes scale_factor x scale_factor pixels."""
    return enlarge(g, m, x, _NEAREST, _SIDES[1:])


@module(
    "SpatialUpSamplingBilinear",
    name="upsample",
    rank=4,
    new_output=lambda x: isinstance(x, ir.Value) and len(dims(x)) == 3,
    expects=batch_first(None, None, None),
)
def spatial_up_sampling_bilinear(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """Bilinear enlarging, to oheight x owidth or by scale_factor."""
    return enlarge(g, m, x, LINEAR, _SIDES[1:])


@module("UpSampling", name="upsample", expects=None)
def up_sampling(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """Enlarging of maps (4-D) and volumes (5-D), by the nearest pixel or (bi-, tri-)linear."""
    check_rank(m, x, 4, 5)
    mode = _NEAREST if m.text("mode", "nearest") == "nearest" else LINEAR
    return enlarge(g, m, x, mode, _SIDES[5 - len(dims(x)) :])


@module("Upsample", rank=4, expects=batch_first(None, None, None))
def upsample(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """Each pixel becomes factor x factor pixels (fbnn)."""
    return enlarge(g, m.with_renamed_fields({"factor": "scale_factor"}), x, _NEAREST, _SIDES[1:])


@module("PixelShuffle", rank=4, expects=batch_first(None, None, None))
def pixel_shuffle(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """r x r channels become r x r pixels of one channel."""
    factor = m.integer("upscaleFactor", minimum=1)
    batch, channels, height, width = dims(x)
    if isinstance(channels, int) and channels % factor**2:
        raise m.error(MismatchError, f"{channels} channels are not divisible by {factor} x {factor}")
    shape = (batch, channels // factor**2, height * factor, width * factor)
    return g.node("DepthToSpace", x, shape=shape, blocksize=factor, mode="CRD")
