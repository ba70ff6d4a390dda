"""The layer types that can be converted: in `bvlc/` those of BVLC Caffe, in `forks/` those of its forks.

Each type is one function `(graph, layer, *bottoms) -> top(s)` with the decorator `registry.layer`. It checks
what Caffe checks, asks the bound layer for its parameters, and appends ONNX nodes that compute the same
numbers. A module in either folder is found because it is there: no list names it. The modules beside this
file hold what several types use.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping

from converters.from_caffe.layers.registry import LAYER_TYPES, LayerType
from converters.from_caffe.layers.unsupported import UNSUPPORTED
from converters.registry import modules_in

__all__ = ["LayerType", "layer_types", "support"]


@functools.cache
def layer_types() -> Mapping[str, LayerType]:
    """Every layer type by name. The first call imports the modules that register them."""
    from converters.from_caffe.layers import bvlc, forks

    for package in (bvlc, forks):
        for _ in modules_in(package):
            pass
    return LAYER_TYPES


def support() -> list[tuple[str, str]]:
    """(type, what it computes or why it is not converted), by name."""
    known = {name: inspect.getdoc(entry.function) or "" for name, entry in layer_types().items()}
    summaries = {name: " ".join(text.split("\n\n")[0].split()) for name, text in known.items()}
    unsupported = {name: f"not converted: {why}" for name, why in UNSUPPORTED.items()}
    return sorted({**unsupported, **summaries}.items(), key=lambda row: (row[0].lower(), row[0]))
