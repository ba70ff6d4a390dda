"""Parameters that no file holds: the values of fillers, of those that are not random."""

from __future__ import annotations

import math

import numpy as np

from converters.from_caffe import schema
from converters.graph import filled


def fill(filler: schema.Message, shape: tuple[int, ...]) -> np.ndarray | None:
    """The float32 array of this shape that the filler makes; None for a random filler."""
    if filler.type == "constant":
        return filled(shape, filler.value)
    if filler.type == "bilinear" and len(shape) == 4 and shape[2] == shape[3]:
        return _bilinear(shape)
    return None


# Stands for a weight filler that the definition leaves out. Caffe's default, a constant 0, is used only for a
# layer that is missing in a weights file which otherwise fits the net: see Binder.
DEFAULT_FILLER = object()


def declared_filler(param: schema.Message, name: str) -> schema.Message:
    """The filler in this field of a parameter message; DEFAULT_FILLER where the definition leaves it out."""
    return getattr(param, name) if param.HasField(name) else DEFAULT_FILLER


def constant_filler(value: float) -> schema.Message:
    """A filler of one value, for parameters that Caffe documents with such a default."""
    filler = schema.new("FillerParameter")
    filler.value = value
    return filler


def _bilinear(shape: tuple[int, ...]) -> np.ndarray:
    """The weights of bilinear upsampling (Caffe's BilinearFiller): one square kernel for all channels."""
    size = shape[3]
    factor = math.ceil(size / 2)
    centre = (size - 1) / (2 * factor)
    one_axis = 1 - np.abs(np.arange(size, dtype=np.float64) / factor - centre)
    return filled(shape, 1) * np.outer(one_axis, one_axis).astype(np.float32)
