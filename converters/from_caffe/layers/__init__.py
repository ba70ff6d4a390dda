"""The layer types that can be carried over: one module per family, one function per type.

Each function is `(graph, layer, *bottoms) -> top(s)`: it checks what Caffe checks, asks the bound layer for
its parameters, and appends ONNX nodes that compute the same numbers.
"""

from __future__ import annotations

import functools

from converters.from_caffe.layers import (
    activation,
    combination,
    convolution,
    ctc,
    detection,
    faces,
    flow,
    fork_elementwise,
    fork_normalization,
    fork_recurrent,
    fork_shape,
    linear,
    normalization,
    pooling,
    proposal,
    recurrent,
    resampling,
    roi,
    shape,
    softmax,
    sources,
    volume,
    yolo,
)
from converters.from_caffe.layers.table import LayerType, registered

__all__ = ["LayerType", "layer_types"]

_FAMILIES = (
    activation,
    combination,
    convolution,
    ctc,
    detection,
    faces,
    flow,
    fork_elementwise,
    fork_normalization,
    fork_recurrent,
    fork_shape,
    linear,
    normalization,
    pooling,
    proposal,
    recurrent,
    resampling,
    roi,
    shape,
    softmax,
    sources,
    volume,
    yolo,
)


@functools.cache
def layer_types() -> dict[str, LayerType]:
    """Every layer type by name."""
    return {entry.name: entry for family in _FAMILIES for entry in registered(family)}
