"""Limits of Caffe's blobs, which every size from a file is held against, also beside a size of 0."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from converters.errors import LimitError
from converters.from_caffe import schema

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
