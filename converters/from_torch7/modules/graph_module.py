"""nn.gModule: the graphs that nngraph builds, of every generation of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from converters.errors import FormatError
from converters.from_torch7.expectation import PASS, Expected, entry_of, is_table, says_something
from converters.from_torch7.handles import Nest
from converters.from_torch7.module import Module, describe
from converters.from_torch7.modules.table import as_table, entry
from converters.from_torch7.net import Net
from converters.from_torch7.objects import Table, TorchObject
from converters.from_torch7.registry import Ask, structure


@dataclass(eq=False)
class _Node:
    """A node; `children` are the data of the nodes it feeds, `inputs` what has arrived so far, by place."""

    data: Table
    children: list[Table]
    inputs: dict[int, Nest] = field(default_factory=dict)

    def get(self, name: str) -> Any:  # noqa: ANN401
        """A field of its data."""
        return self.data.fields.get(name)


class _Graph:
    """The graph of a gModule.

    Nodes are known by their data: the node objects themselves exist twice, for the graph and its reverse.
    """

    def __init__(self, m: Module) -> None:
        self._m = m
        listed = m.get("forwardnodes")
        if not isinstance(listed, Table):
            raise m.error(FormatError, f"field 'forwardnodes' should be a table, but is {describe(listed)}")
        self.nodes = [self._node(item) for item in listed.sequence()]
        self._by_data = {node.data: node for node in self.nodes}
        self.modules = {
            node.data: m.inside(node.get("module"), f"the module of node {k}", str(k))
            for k, node in enumerate(self.nodes, 1)
            if node.get("module") is not None
        }
        self.start = self.at(self._data(m.get("innode")))
        self.end = self.at(self._data(m.get("outnode")))

    def at(self, data: Table) -> _Node:
        """The node with this data."""
        if data not in self._by_data:
            raise self._m.error(FormatError, "a node of the graph is missing from its running order")
        return self._by_data[data]

    def place(self, holder: Table, of: Table) -> int:
        """holder.mapindex[of]: which input of one node the value of another is."""
        mapindex = holder.fields.get("mapindex")
        place = mapindex.at(of) if isinstance(mapindex, Table) else None
        if not isinstance(place, float) or not place.is_integer():
            raise self._m.error(FormatError, "two connected nodes of the graph do not say at which place")
        return int(place)

    def entries(self) -> dict[int, tuple[_Node, Table]] | None:
        """Where each entry of the input table goes: (from, to) by place; None if the input goes on whole.

        The oldest generation's input node deals entries out by its own mapindex. Later ones hand on what
        they get, a table to a node that splits it.
        """
        if isinstance(self.start.get("data"), Table):
            places = {self.place(self.start.data, child): child for child in self.start.children}
            return (
                {place: (self.start, child) for place, child in places.items()} if len(places) > 1 else None
            )
        splits = [node for node in map(self.at, self.start.children) if node.get("nSplitOutputs") is not None]
        if len(splits) != 1 or len(self.start.children) != 1:
            return None
        selects = [(child.fields.get("selectindex"), child) for child in splits[0].children]
        return {
            int(k): (splits[0], child) for k, child in selects if isinstance(k, float) and k.is_integer()
        } or None

    def send(self, source: _Node, value: Nest) -> None:
        """Hand a node's value on to its children."""
        for child in source.children:
            self.at(child).inputs[self.place(child, source.data)] = value

    def wanted(self, ask: Ask, edges: list[tuple[_Node, Table]]) -> Expected:
        """What the first module that says so wants, along edges and through modules that pass it on.

        Behind a module of several inputs only what is wanted of a tensor says something of its entries: it
        may have made a table of them, or taken one apart.
        """
        queue, seen = [(*edge, False) for edge in edges], {data for _, data in edges}
        while queue:
            before, data, joined = queue.pop(0)
            node, module = self.at(data), self.modules.get(data)
            answer = ask(module, PASS) if module is not None else PASS
            mapindex = node.get("mapindex")
            if module is not None and isinstance(mapindex, Table) and len(mapindex.sequence()) > 1:
                answer, joined = entry_of(answer, self.place(data, before.data)), True
            elif joined and is_table(answer):
                continue
            if says_something(answer):
                return answer
            if answer == PASS:
                queue += [(node, child, joined) for child in node.children if child not in seen]
                seen.update(node.children)
        return None

    def _node(self, item: object) -> _Node:
        children = item.fields.fields.get("children") if isinstance(item, TorchObject) else None
        listed = children.sequence() if isinstance(children, Table) else []
        return _Node(self._data(item), [self._data(child) for child in listed])

    def _data(self, item: object) -> Table:
        data = item.fields.fields.get("data") if isinstance(item, TorchObject) else None
        if not isinstance(data, Table):
            raise self._m.error(FormatError, f"a node of the graph is {describe(item)}")
        return data


def graph_expects(m: Module, ask: Ask, after: Expected) -> Expected:
    """What the modules that the input goes to want."""
    graph = _Graph(m)
    entries = graph.entries()
    if entries is None:
        return graph.wanted(ask, [(graph.start, child) for child in graph.start.children])
    return [graph.wanted(ask, [entries[k]]) for k in sorted(entries)]


@structure("gModule", expects=graph_expects)
def graph_module(net: Net, m: Module, x: Nest) -> Nest:
    """Each node in order: what arrived, through its module, on to its children (gmodule.lua, neteval)."""
    graph = _Graph(m)
    for node in graph.nodes:
        if node is graph.end:
            break
        if node is not graph.start:
            graph.send(node, evaluated(net, m, node, graph.modules.get(node.data)))
        elif isinstance(node.get("data"), Table) and graph.entries() is not None:
            for child in node.children:
                arrived = entry(m, as_table(m, x), graph.place(node.data, child))
                graph.at(child).inputs[graph.place(child, node.data)] = arrived
        else:
            graph.send(node, x)
    outputs = gathered(m, graph.end)
    return outputs[0] if len(outputs) == 1 else outputs


def gathered(m: Module, node: _Node) -> list[Nest]:
    """What arrived at a node, by place."""
    mapindex = node.get("mapindex")
    count = len(mapindex.sequence()) if isinstance(mapindex, Table) else 0
    if not count or sorted(node.inputs) != list(range(1, count + 1)):
        raise m.error(FormatError, "a node of the graph runs before all of its inputs are there")
    return [node.inputs[k] for k in sorted(node.inputs)]


def evaluated(net: Net, m: Module, node: _Node, module: Module | None) -> Nest:
    """The value of a node: its module's output, or what arrived, or (split) one entry of that."""
    if node.get("criterion") is not None:
        raise m.unsupported("the graph computes a criterion, which has no place at inference")
    inputs = gathered(m, node)
    value: Nest = inputs[0] if len(inputs) == 1 else inputs
    if module is not None:
        return net.run(module, value)
    index = node.get("selectindex")
    return entry(m, as_table(m, value), int(index)) if isinstance(index, float) else value
