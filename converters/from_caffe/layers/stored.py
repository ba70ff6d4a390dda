"""What a weights file tells of a layer beforehand: forks differ in the blobs and shapes they store."""

from __future__ import annotations

import math

import numpy as np

from converters.from_caffe import schema
from converters.from_caffe.bind import BoundLayer, Parameter


def stored_shapes(layer: BoundLayer) -> list[tuple[int, ...]]:
    """The shapes of the blobs stored under this layer's name; empty where the file has or tells none."""
    weights = layer.binder.weights
    stored = weights.stored(layer.name, None) if weights is not None else None
    return stored.shapes if stored is not None else []


def vector(
    layer: BoundLayer, index: int, name: str, size: int, filler: schema.Message | None = None
) -> Parameter:
    """Parameter number `index`, of `size` values, whatever axes of size 1 the file puts around them."""
    stored = stored_shapes(layer)
    shape = stored[index] if index < len(stored) and math.prod(stored[index]) == size else (size,)
    return Parameter(name, shape, filler)


def unit_rows(weight: np.ndarray) -> np.ndarray:
    """The weights of each output brought to the length 1, as a fork for faces has them."""
    length = np.sqrt(np.square(weight, dtype=np.float64).sum(axis=1, keepdims=True) + 1e-6)
    rows: np.ndarray = (weight / length).astype(np.float32)
    return rows
