"""Limits of Caffe's blobs, which every size from a file is held against, also beside a size of 0."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from converters.errors import LimitError
from converters.from_caffe import schema
from converters.graph_bounds import most_values, value_limit_text

if TYPE_CHECKING:
    from converters.from_caffe.weights import Weights

# ResNet-1202, the deepest net published, has some 4,800.
MAX_LAYERS = 5_120
# A trial, such as with another size open, costs as much as the conversion: nets of more layers are few, and
# are not tried.
MOST_TRIED_LAYERS = 1_000
# kMaxBlobAxes of Caffe.
MAX_BLOB_AXES = 32
# Blob::Reshape of Caffe: a blob counts its values in an int.
MAX_BLOB_ELEMENTS = 2**31 - 1


def blob_problem(sizes: Sequence[int]) -> str | None:
    """Why no blob of Caffe has these sizes, as the end of a sentence; None if one can have them.

    Every size counts, not only their product: beside a size of 0 the others could be anything.
    """
    if len(sizes) > MAX_BLOB_AXES:
        return f"a blob of Caffe has {MAX_BLOB_AXES} axes at most"
    if max(sizes, default=0) > MAX_BLOB_ELEMENTS or math.prod(sizes) > MAX_BLOB_ELEMENTS:
        return f"a blob of Caffe holds {MAX_BLOB_ELEMENTS:,} values"
    return None


def check_layer_count(net: schema.Message, path: Path) -> None:
    """LimitError for a definition of more layers than any real net, before time is spent on each."""
    count = len(net.layer) + len(net.layers)
    if count > MAX_LAYERS:
        raise LimitError(f"{path}: {count:,} layers; a net has at most {MAX_LAYERS:,}: is this the file?")


def stored_bytes(weights: Weights | None) -> int | None:
    """The bytes of all blobs that are stored; None where blobs only stand for what a layer asks for."""
    if weights is None:
        return 0
    if weights.are_placeholders:
        return None
    blobs = [blob for stored in weights.layers() for blob in stored.blobs if blob is not None]
    return sum(blob.values.nbytes for blob in blobs)


def check_stored_count(layers: Sequence[schema.Message], weights: Weights | None) -> None:
    """LimitError where the blobs of these layers alone make a net too large for so few bytes of weights.

    Counted are for each layer that has blobs of its own an operation and its first two blobs, so that nothing
    is built for a net that `GraphBounds` ends later: each of these becomes an operation or a weight at least.
    """
    stored = stored_bytes(weights)
    if weights is None or stored is None:
        return
    blobs = {layer.name: min(len(layer.blobs), 2) for layer in weights.layers()}
    count = sum(
        1 + blobs[layer.name]
        for layer in layers
        if layer.name in blobs and not any(spec.name for spec in layer.param)
    )
    if count > (most := most_values(stored)):
        raise LimitError(
            f"{weights.path.name} and the definition have {count:,} layers and weights: "
            f"{value_limit_text(most)}"
        )
