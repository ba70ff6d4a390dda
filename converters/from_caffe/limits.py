"""Limits of Caffe's blobs, which every size from a file is held against, also beside a size of 0."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from converters.errors import LimitError
from converters.from_caffe import schema

# ResNet-1202, the deepest net published, has some 4,800.
MAX_LAYERS = 5_120
# No layer of a real net makes more than a few; each costs as much as a small layer.
MAX_TOPS = 16_384
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
    """LimitError for more layers or results of layers than any real net has, before time is spent on each."""
    layers = [*net.layer, *net.layers]
    tops = sum(len(layer.top) for layer in layers)
    for count, most, what in (len(layers), MAX_LAYERS, "layers"), (tops, MAX_TOPS, "tops of layers"):
        if count > most:
            raise LimitError(f"{path}: {count:,} {what}; a net has at most {most:,}: is this the file?")
