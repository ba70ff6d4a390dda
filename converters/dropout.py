"""Dropout in a model: the identity at inference, remembered for nets that are trained further.

A reader adds each dropout as a node (`add_dropout`). `detach_dropout` then takes these nodes out of the
finished model, which so holds what inference computes, and notes them in the `meta` of the nodes that read
their results. `attach_dropout` puts them back, for the PyTorch form.

The places where a source lets no gradient pass (`stop_gradient`) are kept in the same way.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir

from converters.graph import Graph
from converters.weights import mark_weight

_OWN, _READ, _OUTPUTS = "dropout", "dropout_of_inputs", "dropout_of_outputs"
_STOP = "StopGradient"


@dataclass(frozen=True, eq=False)
class Dropout:
    """In training each value is 0 with probability `ratio`, and the others are divided by 1 - ratio.

    layer: its name in the source. whole_channels: all values of one channel of one item are dropped together.
    unnamed: the name of its result if that is to be forgotten, because the source does not overwrite a blob.
    """

    layer: str
    ratio: float
    whole_channels: bool
    unnamed: str | None


@dataclass(frozen=True, eq=False)
class StoppedGradient:
    """In training no gradient passes here. layer: the one that states it. unnamed: as for Dropout."""

    layer: str
    unnamed: str | None


def stop_gradient(g: Graph, x: ir.Value) -> ir.Value:
    """x, through which the current layer passes no gradient on."""
    y = g.node(_STOP, x)
    node = y.producer()
    assert node is not None
    # If the layer gives it on as its result, in place, the result's name is that of x.
    node.meta[_OWN] = StoppedGradient(str(node.name).removesuffix(f"/{_STOP}"), str(y.name))
    return y


def stops_gradient(node: ir.Node) -> bool:
    """Whether an attached node is one through which no gradient passes."""
    return isinstance(node.meta.get(_OWN), StoppedGradient)


def add_dropout(
    g: Graph, x: ir.Value, ratio: float, *, whole_channels: bool = False, in_place: bool = False
) -> ir.Value:
    """x after dropout.

    whole_channels: as torch's Dropout2d. in_place: the source overwrites x, so that the result has the name
    of x's blob. A ratio that is not in 0..1 has no meaning, and 0 drops nothing: x itself is returned.
    """
    if not 0 < ratio <= 1 or math.isnan(ratio):
        return x
    y = g.node("Dropout", x)
    node = y.producer()
    assert node is not None
    layer = str(node.name).removesuffix("/Dropout")
    node.meta[_OWN] = Dropout(layer, ratio, whole_channels, str(y.name) if in_place else None)
    return y


def is_dropout(node: ir.Node) -> bool:
    """Whether a node is one of `add_dropout` or `stop_gradient`."""
    return _OWN in node.meta


def drops_whole_channels(node: ir.Node) -> bool:
    """Whether a Dropout node drops the channels of an item as a whole."""
    record = node.meta.get(_OWN)
    return isinstance(record, Dropout) and record.whole_channels


def dropout_before(node: ir.Node) -> bool:
    """Whether dropout was taken out before one of the inputs of a node."""
    return bool(node.meta.get(_READ))


def detach_dropout(model: ir.Model) -> None:
    """Takes those nodes out of a model; names become those of a net without them."""
    graph = model.graph
    for node in [node for node in graph if is_dropout(node)]:
        records = [*node.meta.get(_READ, {}).get(0, ()), node.meta[_OWN]]
        y = node.outputs[0]
        for use in y.uses():
            use.node.meta.setdefault(_READ, {})[use.idx] = records
        for index, output in enumerate(graph.outputs):
            if output is y:
                model.meta.setdefault(_OUTPUTS, {})[index] = records
        if y.is_graph_output() and _has_own_name(node.inputs[0]):
            _replace_by_identity(graph, node)
        else:
            _bypass(graph, node)


def has_detached_dropout(model: ir.Model) -> bool:
    """Whether `detach_dropout` took a dropout out of a model."""
    return bool(model.meta.get(_OUTPUTS)) or any(node.meta.get(_READ) for node in model.graph)


def attach_dropout(model: ir.Model) -> None:
    """Puts the dropouts that `detach_dropout` took out of a model back into it, each as one node."""
    graph = model.graph
    if not has_detached_dropout(model):
        return
    attached = _Attached(graph, {str(node.name) for node in graph} | set(_value_names(graph)))
    for node in list(graph):
        for index, records in node.meta.pop(_READ, {}).items():
            x = node.inputs[index]
            if x is not None:
                node.replace_input_with(index, attached.dropped(x, records, node))
    for index, records in model.meta.pop(_OUTPUTS, {}).items():
        x = graph.outputs[index]
        name = x.name
        y = attached.dropped(x, records, None)
        x.name, y.name = f"{name}:inner", name
        graph.outputs[index] = y


@dataclass
class _Attached:
    """The dropouts that were put back into a graph, and all names in it."""

    graph: ir.Graph
    names: set[str]
    made: dict[tuple[ir.Value, int], ir.Value] = field(default_factory=dict)

    def dropped(
        self, x: ir.Value, records: Sequence[Dropout | StoppedGradient], reader: ir.Node | None
    ) -> ir.Value:
        """x after these dropouts, computed before `reader`; at the end of the graph if that is None."""
        for record in records:
            key = x, id(record)
            if key not in self.made:
                self.made[key] = self._add(x, record, reader)
            x = self.made[key]
        return x

    def _add(self, x: ir.Value, record: Dropout | StoppedGradient, reader: ir.Node | None) -> ir.Value:
        drops = isinstance(record, Dropout)
        operator = "Dropout" if drops else "Identity"
        # Named as a part of its layer where the layer does more, as a reader names its nodes.
        is_part = not drops or record.layer in self.names
        name = _free_name(self.names, f"{record.layer}/{operator}" if is_part else record.layer)
        self.names.add(name)
        inputs = [x, self._ratio(record)] if isinstance(record, Dropout) else [x]
        node = ir.node(operator, inputs, name=name)
        node.meta[_OWN] = record
        y = node.outputs[0]
        y.name, y.shape, y.type = name, x.shape, x.type
        if reader is None:
            self.graph.append(node)
        else:
            self.graph.insert_before(reader, node)
        return y

    def _ratio(self, record: Dropout) -> ir.Value:
        name = _free_name(self.names, f"{record.layer}/constant")
        self.names.add(name)
        value = ir.Value(name=name, const_value=ir.Tensor(np.array(record.ratio, np.float32), name=name))
        value.shape, value.type = ir.Shape(()), ir.TensorType(ir.DataType.FLOAT)
        mark_weight(value, False)
        self.graph.register_initializer(value)
        return value


def _free_name(taken: set[str], wanted: str) -> str:
    name, k = wanted, 1
    while name in taken:
        k += 1
        name = f"{wanted}_{k}"
    return name


def _value_names(graph: ir.Graph) -> Iterable[str]:
    yield from (str(value.name) for value in graph.inputs)
    yield from graph.initializers
    yield from (str(value.name) for node in graph for value in node.outputs)


def _has_own_name(x: ir.Value | None) -> bool:
    return x is not None and (x.producer() is None or x.is_graph_output())


def _bypass(graph: ir.Graph, node: ir.Node) -> None:
    record, x, y = node.meta[_OWN], node.inputs[0], node.outputs[0]
    assert x is not None
    named = record.unnamed is not None and y.name != record.unnamed
    renames = y.is_graph_output() or (named and not x.is_graph_output())
    name, y.name = y.name, None
    ir.convenience.replace_all_uses_with(y, x, replace_graph_outputs=True)
    graph.remove(node, safe=True)
    if renames and x.producer() is not None:
        x.name = name


def _replace_by_identity(graph: ir.Graph, node: ir.Node) -> None:
    y = node.outputs[0]
    node_name = _free_name({str(other.name) for other in graph}, "Identity")
    identity = ir.node("Identity", [node.inputs[0]], name=node_name)
    new = identity.outputs[0]
    name, y.name = y.name, None
    new.shape, new.type = y.shape, y.type
    graph.insert_before(node, identity)
    ir.convenience.replace_all_uses_with(y, new, replace_graph_outputs=True)
    graph.remove(node, safe=True)
    new.name = name
