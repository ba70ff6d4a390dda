"""Helpers for parameters: forks store different blobs, in different shapes, for one layer type."""

from __future__ import annotations

import math

import numpy as np

from converters.from_caffe import schema
from converters.from_caffe.bound_layer import BoundLayer, Parameter


def stored_shapes(layer: BoundLayer) -> list[tuple[int, ...]]:
    """The shapes of the blobs stored under this layer's name; empty where the file has none or no shapes."""
    weights = layer.binder.weights
    stored = weights.stored(layer.name, None) if weights is not None else None
    return stored.shapes if stored is not None else []


def parameter_fields(layer: BoundLayer) -> frozenset[int]:
    """The field numbers at which the weights file stores the parameters of all layers of this type."""
    weights = layer.binder.weights
    return weights.parameter_fields(layer.type) if weights is not None else frozenset()


def has_other_weights(layer: BoundLayer) -> bool:
    """Whether the weights file holds blobs, and none under this layer's name.

    Then a layer that always has blobs in one fork must be that of another fork.
    """
    weights = layer.binder.weights
    return weights is not None and len(weights.layers()) > 0 and not stored_shapes(layer)


def vector_parameter(
    layer: BoundLayer, index: int, name: str, size: int, filler: schema.Message | None = None
) -> Parameter:
    """Parameter number `index`, a vector of `size` values, in the shape in which the file stores it.

    Forks store such a vector with additional axes of size 1.
    """
    stored = stored_shapes(layer)
    shape = stored[index] if index < len(stored) and math.prod(stored[index]) == size else (size,)
    return Parameter(name, shape, filler)


def unit_rows(weight: np.ndarray) -> np.ndarray:
    """`weight` (outputs, inputs) with each row divided by its length, as happynear's fork does; float32."""
    length = np.sqrt(np.square(weight, dtype=np.float64).sum(axis=1, keepdims=True) + 1e-6)
    rows: np.ndarray = (weight / length).astype(np.float32)
    return rows
