"""Faster R-CNN's proposal layer as its Python code computes it (lib/rpn/proposal_layer.py)."""

from __future__ import annotations

import onnx_ir as ir

from converters.from_caffe.bound_layer import BoundLayer
from converters.from_caffe.layers.forks.proposal import proposed_regions
from converters.from_caffe.layers.registry import layer
from converters.from_caffe.python_proposals import PROPOSAL_TYPE
from converters.graph import Graph
from converters.sizes import dims


@layer(
    PROPOSAL_TYPE,
    param="proposal_param",
    fork_field_numbers=(201, 219, 1200, 8266713),
    in_place=False,
    tops=(1, 2),
)
def python_proposal(
    g: Graph, layer: BoundLayer, scores: ir.Value, deltas: ir.Value, info: ir.Value
) -> list[ir.Value]:
    """A Python layer of py-faster-rcnn or py-R-FCN, with --proposal: Proposal without boxes below min_size.

    Regions (M, 5) and, as a second top, their scores (M, 1).
    """
    regions, *found = proposed_regions(g, layer, scores, deltas, info, drop_small=True)
    return [regions, *(g.reshape(score, (*dims(score), 1)) for score in found)]
