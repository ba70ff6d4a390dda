"""Dropout in a model: the identity at inference, kept for nets that are trained further.

Both readers add it as ONNX's Dropout, with the ratio of the source. The PyTorch form has a module for it; from
the written .onnx it is left out (`remove_dropout`), as what inference does not compute.
"""

from __future__ import annotations

import math

import onnx_ir as ir

from converters.graph import Graph, scalar

_RECORD = "dropout"


def add_dropout(
    g: Graph, x: ir.Value, ratio: float, *, whole_channels: bool = False, in_place: bool = False
) -> ir.Value:
    """x after dropout: in training each value is 0 with probability `ratio`, the others are / (1 - ratio).

    whole_channels: all values of one channel of one item are dropped together, as in torch's Dropout2d.
    in_place: the source overwrites x, so that the result has the name of x's blob.
    A ratio outside 0..1 has no meaning, and a ratio of 0 drops nothing: x itself is returned.
    """
    if not 0 < ratio <= 1 or math.isnan(ratio):
        return x
    y = g.node("Dropout", x, g.unshared_constant("ratio", scalar(ratio)))
    node = y.producer()
    assert node is not None
    node.meta[_RECORD] = {"whole_channels": whole_channels, "in_place": in_place, "unnamed": y.name}
    return y


def drops_whole_channels(node: ir.Node) -> bool:
    """Whether a Dropout node drops the channels of an item as a whole."""
    return bool(node.meta.get(_RECORD, {}).get("whole_channels"))


def is_from_source(node: ir.Node) -> bool:
    """Whether a node is a dropout that a reader has added; an .onnx file may have others."""
    return _RECORD in node.meta


def inference_nodes(graph: ir.Graph) -> int:
    """The number of nodes that are left after `remove_dropout`."""
    return sum(not is_from_source(node) or _needs_identity(node) for node in graph)


def is_ratio(value: ir.Value) -> bool:
    """Whether an initializer is the ratio of a dropout that a reader has added."""
    uses = list(value.uses())
    return bool(uses) and all(is_from_source(use.node) and use.idx == 1 for use in uses)


def remove_dropout(graph: ir.Graph) -> None:
    """Takes the dropouts that a reader has added out of a graph; names become those of a net without them."""
    for node in [node for node in graph if is_from_source(node)]:
        ratio = node.inputs[1]
        assert ratio is not None
        if _needs_identity(node):
            _replace_by_identity(graph, node)
        else:
            _bypass(graph, node)
        if not ratio.uses():
            del graph.initializers[str(ratio.name)]


def _needs_identity(node: ir.Node) -> bool:
    """Whether its output is one of the graph while its input has a name of its own in the graph."""
    x = node.inputs[0]
    assert x is not None
    return node.outputs[0].is_graph_output() and (x.producer() is None or x.is_graph_output())


def _bypass(graph: ir.Graph, node: ir.Node) -> None:
    record, x, y = node.meta[_RECORD], node.inputs[0], node.outputs[0]
    assert x is not None
    renames = y.is_graph_output() or (record["in_place"] and y.name != record["unnamed"])
    name, y.name = y.name, None
    ir.convenience.replace_all_uses_with(y, x, replace_graph_outputs=True)
    graph.remove(node, safe=True)
    if renames and x.producer() is not None:
        x.name = name


def _replace_by_identity(graph: ir.Graph, node: ir.Node) -> None:
    y = node.outputs[0]
    identity = ir.node("Identity", [node.inputs[0]], name="Identity")
    new = identity.outputs[0]
    name, y.name = y.name, None
    new.shape, new.type = y.shape, y.type
    graph.insert_before(node, identity)
    ir.convenience.replace_all_uses_with(y, new, replace_graph_outputs=True)
    graph.remove(node, safe=True)
    new.name = name

