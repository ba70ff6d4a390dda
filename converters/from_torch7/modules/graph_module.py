"""nn.gModule: the graphs that any version of nngraph builds."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from converters.errors import FormatError
from converters.from_torch7.backward_shape_inference import ANY, Expected, expected_entry, is_known, is_table
from converters.from_torch7.conversion import Conversion, Infer
from converters.from_torch7.module import Module, describe
from converters.from_torch7.modules.checks import as_table, table_entry
from converters.from_torch7.objects import Table, TorchObject
from converters.from_torch7.registry import structure
from converters.from_torch7.tensor_references import NestedTensors


@dataclass(eq=False)
class _Node:
    """A node. children: the data of the nodes it feeds. inputs: those that arrived, by position from 1."""

    data: Table
    children: list[Table]
    inputs: dict[int, NestedTensors] = field(default_factory=dict)

    def get(self, name: str) -> Any:  # noqa: ANN401
        """A field of the node's data."""
        return self.data.fields.get(name)


class _Graph:
    """The graph of a gModule.

    A node is identified by its data, because each has two node objects: for the graph and for its reverse.
    """

    def __init__(self, m: Module) -> None:
        self._m = m
        listed = m.get("forwardnodes")
        if not isinstance(listed, Table):
            raise m.error(FormatError, f"field 'forwardnodes' should be a table, but is {describe(listed)}")
        self.nodes = [self._read_node(item) for item in listed.sequence()]
        self._by_data = {node.data: node for node in self.nodes}
        self.modules = {
            node.data: m.submodule(node.get("module"), f"the module of node {k}", str(k))
            for k, node in enumerate(self.nodes, 1)
            if node.get("module") is not None
        }
        self.start = self.node_of(self._data_of(m.get("innode")))
        self.end = self.node_of(self._data_of(m.get("outnode")))

    def node_of(self, data: Table) -> _Node:
        """The node with these data."""
        if data not in self._by_data:
            raise self._m.error(FormatError, "a node of the graph is missing in the list 'forwardnodes'")
        return self._by_data[data]

    def input_position(self, holder: Table, of: Table) -> int:
        """holder.mapindex[of]: the position of one node's value among the inputs of another."""
        mapindex = holder.fields.get("mapindex")
        place = mapindex.by_identity(of) if isinstance(mapindex, Table) else None
        if not isinstance(place, float) or not place.is_integer():
            raise self._m.error(FormatError, "a connection of the graph has no position (mapindex)")
        return int(place)

    def input_entries(self) -> dict[int, tuple[_Node, Table]] | None:
        """Where each entry of the input table goes: (from, to) by position; None if the input is not split.

        In the oldest nngraph, the input node itself splits the table, by its mapindex. In later versions, it
        passes the table on to a node that splits it.
        """
        if isinstance(self.start.get("data"), Table):
            places = {self.input_position(self.start.data, child): child for child in self.start.children}
            return (
                {place: (self.start, child) for place, child in places.items()} if len(places) > 1 else None
            )
        splitting = [
            node for node in map(self.node_of, self.start.children) if node.get("nSplitOutputs") is not None
        ]
        if len(splitting) != 1 or len(self.start.children) != 1:
            return None
        selects = [(child.fields.get("selectindex"), child) for child in splitting[0].children]
        return {
            int(k): (splitting[0], child) for k, child in selects if isinstance(k, float) and k.is_integer()
        } or None

    def pass_on(self, source: _Node, value: NestedTensors) -> None:
        """Pass the value of a node on to its children."""
        for child in source.children:
            self.node_of(child).inputs[self.input_position(child, source.data)] = value

    def infer_input(self, infer: Infer, edges: list[tuple[_Node, Table]]) -> Expected:
        """What the first module along these edges expects that expects something; others are passed through.

        After a module with several inputs, an expected table is ignored: such a module may have built the
        table from its inputs, or taken one apart.
        """
        queue, seen = deque((*edge, False) for edge in edges), {data for _, data in edges}
        while queue:
            source, data, after_join = queue.popleft()
            node, module = self.node_of(data), self.modules.get(data)
            answer = infer(module, ANY) if module is not None else ANY
            mapindex = node.get("mapindex")
            if module is not None and isinstance(mapindex, Table) and len(mapindex.sequence()) > 1:
                answer, after_join = expected_entry(answer, self.input_position(data, source.data)), True
            elif after_join and is_table(answer):
                continue
            if is_known(answer):
                return answer
            if answer == ANY:
                queue += [(node, child, after_join) for child in node.children if child not in seen]
                seen.update(node.children)
        return None

    def _read_node(self, item: object) -> _Node:
        children = item.fields.fields.get("children") if isinstance(item, TorchObject) else None
        listed = children.sequence() if isinstance(children, Table) else []
        return _Node(self._data_of(item), [self._data_of(child) for child in listed])

    def _data_of(self, item: object) -> Table:
        data = item.fields.fields.get("data") if isinstance(item, TorchObject) else None
        if not isinstance(data, Table):
            raise self._m.error(FormatError, f"a node of the graph is {describe(item)}")
        return data


def expected_by_graph(m: Module, infer: Infer, successor: Expected) -> Expected:
    """What the modules that get the input expect."""
    graph = _Graph(m)
    entries = graph.input_entries()
    if entries is None:
        return graph.infer_input(infer, [(graph.start, child) for child in graph.start.children])
    return [graph.infer_input(infer, [entries[k]]) for k in sorted(entries)]


@structure("gModule", expects=expected_by_graph)
def graph_module(conversion: Conversion, m: Module, x: NestedTensors) -> NestedTensors:
    """A graph: each node's module gets the outputs of the nodes before it (gmodule.lua, neteval)."""
    graph = _Graph(m)
    for node in graph.nodes:
        if node is graph.end:
            break
        if node is not graph.start:
            graph.pass_on(node, evaluate_node(conversion, m, node, graph.modules.get(node.data)))
        elif isinstance(node.get("data"), Table) and graph.input_entries() is not None:
            for child in node.children:
                arrived = table_entry(m, as_table(m, x), graph.input_position(node.data, child))
                graph.node_of(child).inputs[graph.input_position(child, node.data)] = arrived
        else:
            graph.pass_on(node, x)
    outputs = arrived_inputs(m, graph.end)
    return outputs[0] if len(outputs) == 1 else outputs


def arrived_inputs(m: Module, node: _Node) -> list[NestedTensors]:
    """The inputs of a node in order; FormatError unless all have arrived."""
    mapindex = node.get("mapindex")
    count = len(mapindex.sequence()) if isinstance(mapindex, Table) else 0
    if not count or sorted(node.inputs) != list(range(1, count + 1)):
        raise m.error(FormatError, "a node of the graph runs before all of its inputs have arrived")
    return [node.inputs[k] for k in sorted(node.inputs)]


def evaluate_node(conversion: Conversion, m: Module, node: _Node, module: Module | None) -> NestedTensors:
    """The value of a node: the output of its module, or without one its input, or one entry of its input."""
    if node.get("criterion") is not None:
        raise m.unsupported("the graph computes a criterion, which has no place at inference")
    inputs = arrived_inputs(m, node)
    value: NestedTensors = inputs[0] if len(inputs) == 1 else inputs
    if module is not None:
        return conversion.run(module, value)
    index = node.get("selectindex")
    return table_entry(m, as_table(m, value), int(index)) if isinstance(index, float) else value
