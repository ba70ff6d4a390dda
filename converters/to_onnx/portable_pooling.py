"""The portable form of pooling and unpooling; see `converters.to_onnx.portable`."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from converters.pooling_rule import CeilPooling, ceil_pooling_of
from converters.to_onnx.graph_edits import constant, insert, ints, new_node, replace, set_int, set_ints, sizes


def pool_at_every_size(graph: ir.Graph, node: ir.Node) -> None:
    """A pooling that rounds up gets pads that are right at every image size, not only at the stated one."""
    rule = ceil_pooling_of(node.outputs[0])
    if rule is None:
        return
    ends = rule.ends()
    kernel = ints(node, "kernel_shape")
    pads = list(rule.pads)
    if ends == pads or any(end >= k for end, k in zip(ends, kernel, strict=True)):
        return
    stated = ints(node, "pads") or [0] * (2 * len(kernel))
    half = len(kernel)
    exact = stated[:half] == stated[half:]
    if rule.never_clips and exact:
        _counted_padding(graph, node, rule)
        set_int(node, "ceil_mode", 1)
        return
    _counted_padding(graph, node, rule)
    begins = [0] * half if rule.counts_padding else pads
    if rule.counts_padding:
        ends = [end - pad for end, pad in zip(ends, pads, strict=True)]
    node.attributes.pop("ceil_mode", None)
    set_ints(node, "pads", [*begins, *ends])


def _counted_padding(graph: ir.Graph, node: ir.Node, rule: CeilPooling) -> None:
    """Padding that counts in the mean becomes a Pad: what overhangs beyond it must not count."""
    if not rule.counts_padding or node.attributes.get_int("count_include_pad", 0) == 0:
        return
    pads = ints(node, "pads")
    node.attributes.pop("count_include_pad")
    node.attributes.pop("pads", None)
    if any(pads):
        pad_first_input(graph, node, pads)


def scatter_maxima(graph: ir.Graph, node: ir.Node) -> None:
    """No other runtime has MaxUnpool: each plane is written as a line, and its values scattered to it."""
    values, places = node.inputs[:2]
    assert values is not None
    assert places is not None
    pooling, shape = places.producer(), sizes(node.outputs[0])
    plane = [size for size in shape[1:] if size is not None]
    if pooling is None or pooling.op_type != "MaxPool" or len(plane) < len(shape) - 1:
        return
    image = pooling.inputs[0]
    assert image is not None
    channels, size = plane[0], math.prod(plane[1:])
    lines = constant(graph, np.array([0, channels, -1], np.int64))
    line, short = [shape[0], channels, size], [shape[0], channels, None]
    # ONNX counts places over the whole tensor.
    within = [places, constant(graph, np.array(size, np.int64))]
    places = new_node(graph, node, "Mod", within, sizes(places), dtype=ir.DataType.INT64)
    places = new_node(graph, node, "Reshape", [places, lines], short, dtype=ir.DataType.INT64)
    values = new_node(graph, node, "Reshape", [values, lines], short)
    image = new_node(graph, node, "Reshape", [image, lines], line)
    extent = new_node(graph, node, "Shape", [image], [3], dtype=ir.DataType.INT64)
    zeros = new_node(graph, node, "Expand", [constant(graph, np.array(0, np.float32)), extent], line)
    result = new_node(graph, node, "ScatterElements", [zeros, places, values], line, axis=2)
    target = constant(graph, np.array([0, 0, *plane[1:]], np.int64))
    replace(graph, node, new_node(graph, node, "Reshape", [result, target], shape))


def pad_first_input(graph: ir.Graph, node: ir.Node, pads: Sequence[int]) -> None:
    """Puts a Pad with zeros before a node; pads: as in the attribute of a convolution."""
    half = len(pads) // 2
    amounts = np.array([0, 0, *pads[:half], 0, 0, *pads[half:]], np.int64)
    x = node.inputs[0]
    assert x is not None
    assert x.shape is not None
    shape = [
        size + int(amounts[axis] + amounts[axis + half + 2]) if isinstance(size, int) else None
        for axis, size in enumerate(x.shape)
    ]
    insert(graph, node, "Pad", [x, constant(graph, amounts)], shape, replaces=0)
