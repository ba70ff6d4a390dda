"""Parameters that no file holds: only fillers whose values do not come from a random number generator."""

from __future__ import annotations

import math

import numpy as np

from converters.from_caffe import schema
from converters.graph import filled


def fill(filler: schema.Message, shape: tuple[int, ...]) -> np.ndarray | None:
    """float32 array of this shape as the filler makes it, or None where the filler is random."""
    if filler.type == "constant":
        return filled(shape, filler.value)
    if filler.type == "bilinear" and len(shape) == 4 and shape[2] == shape[3]:
        return _bilinear(shape)
    return None


# A weight filler that the definition leaves out. Caffe's default, a constant 0, is taken only for a layer
# that is missing in a weights file which otherwise fits the net: see Binder.
UNSPELLED = object()


def declared(param: schema.Message, name: str) -> schema.Message:
    """The filler that the definition spells out, or UNSPELLED."""
    return getattr(param, name) if param.HasField(name) else UNSPELLED


def constant(value: float) -> schema.Message:
    """A constant filler, for parameters whose default value is defined."""
    filler = schema.new("FillerParameter")
    filler.value = value
    return filler


def _bilinear(shape: tuple[int, ...]) -> np.ndarray:
    """Interpolation weights for upsampling (BilinearFiller): the same square kernel for every channel."""
    size = shape[3]
    factor = math.ceil(size / 2)
    centre = (size - 1) / (2 * factor)
    one_axis = 1 - np.abs(np.arange(size, dtype=np.float64) / factor - centre)
    return filled(shape, 1) * np.outer(one_axis, one_axis).astype(np.float32)
