"""The body of `forward`: which values get a variable, what it is called, and one statement for each.

A value of an ONNX node has a variable; the parts of its expression have one only if used more than once.
Names are chosen as people choose them, and so that reassigning a variable frees what is no longer needed:

1. A graph output has its ONNX name.
2. Where nothing else is in flight, the value is the trunk of the net, `x`.
3. Elsewhere, values that only serve to compute the next one share a variable with it. It is named after the
   blob at the end of that chain, or is `y` if the chain ends by joining the trunk, as in a residual block.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from torch import fx

from converters.to_pytorch.expressions import WIDTH, Writer, lines
from converters.to_pytorch.naming import Names, identifier, printable
from converters.to_pytorch.net import Net

INDENT = " " * 8
TRUNK, SIDE = "x", "y"


class Body:
    """The statements of `forward` for one net."""

    def __init__(self, net: Net) -> None:
        graph = net.graph
        self.submodules = net.submodules
        self.output = next(node for node in graph.nodes if node.op == "output")
        self.inputs = [node for node in graph.nodes if node.op == "placeholder"]
        self.statements = [node for node in graph.nodes if _is_statement(node)]
        self.variables: dict[fx.Node, str] = {node: str(node.target) for node in self.inputs}
        self._names = Names({*self.variables.values(), TRUNK, SIDE})
        self._output_names = self._name_outputs()
        self._readers = self._find_readers()
        self._name_all()
        self._writer = Writer(self.variables)

    def lines(self) -> list[str]:
        """The text, indented for a method."""
        body = [line for k in range(len(self.statements)) for line in self._statement(k)]
        value = self._writer.value(self.output.args[0])
        if isinstance(self.output.args[0], tuple):
            value = replace(value, text=value.text[1:-1])
        return [*body, *lines(INDENT, "return ", value)]

    def _statement(self, index: int) -> list[str]:
        node = self.statements[index]
        parts = [self.variables[part] if part is not None else "_" for part in _parts(node)]
        target = ", ".join(parts) or self.variables[node]
        text = lines(INDENT, f"{target} = ", self._writer.expression(node))
        silent = [k for k in self._run(index) if not self._tells(self.statements[k])]
        if not silent or index != (silent[0] if len(silent) == 1 else self._run(index)[0]):
            return text
        comment = f"# {printable(str(node.meta['layer']))}"
        if len(silent) == 1 and len(text) == 1 and len(text[0]) + 2 + len(comment) <= WIDTH:
            return [f"{text[0]}  {comment}"]
        return [f"{INDENT}{comment}", *text]

    def _run(self, index: int) -> range:
        """The statements around this one that belong to the same layer."""
        layer = self.statements[index].meta["layer"]
        start = end = index
        while start > 0 and self.statements[start - 1].meta["layer"] == layer:
            start -= 1
        while end + 1 < len(self.statements) and self.statements[end + 1].meta["layer"] == layer:
            end += 1
        return range(start, end + 1)

    def _tells(self, node: fx.Node) -> bool:
        """Whether the statement of a node says the name of its layer by itself."""
        layer = str(node.meta["layer"])
        module = self.submodules.get(str(node.target)) if node.op == "call_module" else None
        return (module is not None and module.layer == layer) or self.variables.get(node) == identifier(layer)

    def _name_outputs(self) -> dict[fx.Node, str]:
        names: dict[fx.Node, str] = {}
        for name, node in self.output.meta["names"].items():
            if node not in names and (_is_statement(node) or _is_part(node)):
                names[node] = self._names.claim(name)
        return names

    def _name_all(self) -> None:
        alive = list(self.inputs)
        for index, node in enumerate(self.statements):
            alive = [other for other in alive if max(self._readers.get(other, [0])) > index]
            for result in [part for part in _parts(node) if part is not None] or [node]:
                self.variables[result] = self._name(result, index, alive)
                alive.append(result)

    def _name(self, node: fx.Node, index: int, alive: list[fx.Node]) -> str:
        if node in self._output_names:
            return self._output_names[node]
        held = {self.variables[other] for other in alive}
        in_flight = [
            other for other in alive if other.op != "placeholder" and not self._is_finished(other, index)
        ]
        if TRUNK not in held and not in_flight and node is self.statements[index]:
            return TRUNK
        source = self._source(node, index)
        if source is not None and self.variables[source] != TRUNK:
            return self.variables[source]
        end = self._end(node)
        joined = {self.variables.get(other) for other in self._joined(end)}
        if joined == {TRUNK, None} and SIDE not in held:
            return SIDE
        return self._output_names.get(end) or self._names.claim(_wanted(end))

    def _is_finished(self, node: fx.Node, index: int) -> bool:
        """Whether a value is only kept to be returned."""
        return all(reader <= index or reader == len(self.statements) for reader in self._readers[node])

    def _source(self, node: fx.Node, index: int) -> fx.Node | None:
        """The value that only serves to compute `node`, if there is one."""
        read = set(self._reads(self.statements[index]))
        if len(read) != 1 or node is not self.statements[index]:
            return None
        source = read.pop()
        return source if source.op != "placeholder" and self._readers[source] == [index] else None

    def _end(self, node: fx.Node) -> fx.Node:
        """The last value of the chain that begins with `node`."""
        while True:
            readers = self._readers.get(node, [])
            if len(readers) != 1 or readers[0] == len(self.statements):
                return node
            following = self.statements[readers[0]]
            if self._source(following, readers[0]) is not node:
                return node
            node = following

    def _joined(self, node: fx.Node) -> set[fx.Node]:
        """What the only reader of `node` reads."""
        readers = self._readers.get(node, [])
        if len(readers) != 1 or readers[0] == len(self.statements):
            return set()
        return set(self._reads(self.statements[readers[0]]))

    def _find_readers(self) -> dict[fx.Node, list[int]]:
        """The statements that read each value; the return statement counts as the last."""
        readers: dict[fx.Node, list[int]] = {}
        for index, node in enumerate([*self.statements, self.output]):
            for read in set(self._reads(node)):
                readers.setdefault(read, []).append(index)
        return readers

    def _reads(self, node: fx.Node) -> Iterator[fx.Node]:
        """The values with variables that the statement of `node` reads."""
        for operand in node.all_input_nodes:
            if operand.op == "placeholder" or _is_statement(operand) or _is_part(operand):
                yield operand
            else:
                yield from self._reads(operand)


def _wanted(node: fx.Node) -> str:
    """The name of the blob; a step inside the formula of a layer is named after the layer."""
    value = node.meta.get("value")
    if value is None or str(value.name).startswith(f"{node.meta['layer']}/{value.producer().op_type}"):
        return str(node.meta["layer"])
    return str(value.name)


def _is_statement(node: fx.Node) -> bool:
    if node.op in ("placeholder", "output", "get_attr") or node.target is getattr or _is_part(node):
        return False
    return "value" in node.meta or bool(_parts(node)) or (_use_count(node) > 1 and not _is_size(node))


def _parts(node: fx.Node) -> list[fx.Node | None]:
    """The elements of a result that is a tuple, None for those that are not used; empty for a tensor."""
    count = node.meta.get("tuple", 0)
    found = {user.args[1]: user for user in node.users if _is_part(user)}
    return [found.get(k) for k in range(count)]


def _is_part(node: fx.Node) -> bool:
    source = node.args[0] if node.target is operator.getitem else None
    return isinstance(source, fx.Node) and "tuple" in source.meta


def _is_size(node: fx.Node) -> bool:
    """Whether a node is a size of a value, or computed from sizes alone: then it is said where it is used."""
    if node.target is operator.getitem:
        source: Any = node.args[0]
        return isinstance(source, fx.Node) and source.target is getattr
    of_sizes = [_is_size(operand) for operand in node.all_input_nodes]
    return bool(of_sizes) and all(of_sizes) and getattr(node.target, "__module__", "") == "_operator"


def _use_count(node: fx.Node) -> int:
    count = 0

    def count_if_node(argument: fx.Node) -> fx.Node:
        nonlocal count
        count += argument is node
        return argument

    for user in node.users:
        fx.node.map_arg((user.args, user.kwargs), count_if_node)
    return count
