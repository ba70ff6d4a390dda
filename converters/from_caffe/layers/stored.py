"""What a weights file tells of a layer beforehand: forks differ in the blobs and shapes they store."""

from __future__ import annotations

import math

from converters.from_caffe import schema
from converters.from_caffe.bind import BoundLayer, Parameter


def stored_shapes(layer: BoundLayer) -> list[tuple[int, ...]]:
    """The shapes of the blobs stored under this layer's name; empty where the file has or tells none."""
    weights = layer.binder.weights
    stored = weights.stored(layer.name, None) if weights is not None else None
    return [blob.stated_shape for blob in stored.blobs] if stored is not None else []


def vector(
    layer: BoundLayer, index: int, name: str, size: int, filler: schema.Message | None = None
) -> Parameter:
    """Parameter number `index`, of `size` values, whatever axes of size 1 the file puts around them."""
    stored = stored_shapes(layer)
    shape = stored[index] if index < len(stored) and math.prod(stored[index]) == size else (size,)
    return Parameter(name, shape, filler)
