"""The operators by family; each module holds one function an operator."""

from __future__ import annotations

from converters.to_pytorch.operators import (
    activation,
    arithmetic,
    arrangement,
    convolution,
    creation,
    functions,
    indexing,
    linear,
    logic,
    normalization,
    pooling,
    recurrent,
    reduction,
    regions,
    resizing,
)
from converters.to_pytorch.registry import Operator, collect


def operators() -> dict[str, Operator]:
    """Every operator that can be written, by its ONNX name."""
    return collect(
        activation,
        arithmetic,
        arrangement,
        convolution,
        creation,
        functions,
        indexing,
        linear,
        logic,
        normalization,
        pooling,
        recurrent,
        reduction,
        regions,
        resizing,
    )
