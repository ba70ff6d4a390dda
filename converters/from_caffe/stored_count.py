"""How much a weights file stores, and whether a net of that many blobs may be built."""

from __future__ import annotations

from collections.abc import Sequence

from converters.errors import LimitError
from converters.from_caffe import schema
from converters.from_caffe.weights import Weights
from converters.graph_bounds import most_values, value_limit_text


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
