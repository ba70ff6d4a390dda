"""The layer types that can be carried over: one module per family, one function per type.

Each function is `(graph, layer, *bottoms) -> top(s)`: it checks what Caffe checks, asks the bound layer for
its parameters, and appends ONNX nodes that compute the same numbers.
"""

from __future__ import annotations

import functools
import inspect

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
    upsampling,
    volume,
    yolo,
)
from converters.from_caffe.layers.refused import REFUSED
from converters.from_caffe.layers.table import LayerType, registered

__all__ = ["LayerType", "layer_types", "support"]

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
    upsampling,
    volume,
    yolo,
)


@functools.cache
def layer_types() -> dict[str, LayerType]:
    """Every layer type by name."""
    return {entry.name: entry for family in _FAMILIES for entry in registered(family)}


def support() -> list[tuple[str, str]]:
    """(type, what it computes or why it is refused), by name."""
    known = {name: inspect.getdoc(entry.function) or "" for name, entry in layer_types().items()}
    summaries = {name: " ".join(text.split("\n\n")[0].split()) for name, text in known.items()}
    refused = {name: f"not converted: {why}" for name, why in REFUSED.items()}
    return sorted({**refused, **summaries}.items(), key=lambda row: row[0].lower())
