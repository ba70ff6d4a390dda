"""The body of `forward`: which values get a variable, what it is called, and one line for each.

1. A value of an ONNX node has a variable; parts of its expression have one only if used more than once.
2. A graph output is called what it is called in ONNX.
3. Where nothing else is alive, the value is the trunk of the net: `x`. Reassigning it frees memory.
4. Any other value is called after its blob; a step inside the formula of a layer after the layer.
5. A value whose name is that of the variable it is computed from takes that over: a layer in place.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Any

from torch import fx

from converters.to_pytorch.expressions import WIDTH, Expression, Writer, lines
from converters.to_pytorch.naming import Names, identifier, printable

INDENT = " " * 8
TRUNK = "x"


class Body:
    """The statements of `forward` for one graph."""

    def __init__(self, graph: fx.Graph) -> None:
        self.output = next(node for node in graph.nodes if node.op == "output")
        self.inputs = [node for node in graph.nodes if node.op == "placeholder"]
        self.statements = [node for node in graph.nodes if _is_statement(node)]
        self.variables: dict[fx.Node, str] = {node: str(node.target) for node in self.inputs}
        self._names = Names([*self.variables.values(), TRUNK])
        self._name_all()
        self._writer = Writer(self.variables)

    def lines(self) -> list[str]:
        """The text, indented for a method."""
        body = [line for node in self.statements for line in self._statement(node)]
        value = self._writer.value(self.output.args[0])
        if isinstance(self.output.args[0], tuple):
            value = Expression(value.text[1:-1] if len(value.arguments) > 1 else value.text)
        return [*body, *lines(INDENT, "return ", value)]

    def _statement(self, node: fx.Node) -> list[str]:
        parts = _parts(node)
        if parts:
            target = ", ".join(self.variables[part] if part is not None else "_" for part in parts)
            told = True
        else:
            target = self.variables[node]
            told = node.op == "call_module"
        layer = node.meta.get("layer", "")
        comment = "" if told or not layer or identifier(layer) == target else f"# {printable(layer)}"
        text = lines(INDENT, f"{target} = ", self._writer.expression(node))
        if not comment:
            return text
        if len(text) == 1 and len(text[0]) + 2 + len(comment) <= WIDTH:
            return [f"{text[0]}  {comment}"]
        return [f"{INDENT}{comment}", *text]

    def _name_all(self) -> None:
        last_use = self._last_uses()
        alive = {node for node in self.inputs if node in last_use}
        for index, node in enumerate(self.statements):
            alive = {other for other in alive if last_use[other] > index}
            parts = [part for part in _parts(node) if part is not None]
            for result in parts or [node]:
                others = alive.union(parts) - {result}
                self.variables[result] = self._name(
                    result, is_trunk=not others, last_use=last_use, index=index
                )
            alive.update(result for result in parts or [node] if result in last_use)

    def _name(self, node: fx.Node, *, is_trunk: bool, last_use: dict[fx.Node, int], index: int) -> str:
        value = node.meta.get("value")
        if value is not None and value.is_graph_output():
            return self._names.claim(str(value.name))
        if is_trunk:
            return TRUNK
        if value is None:
            return self._names.claim("part")
        inner = str(value.name).startswith(f"{node.meta['layer']}/{value.producer().op_type}")
        wanted = identifier(node.meta["layer"] if inner else str(value.name))
        source = self._replaced(index, last_use)
        if source is not None and self.variables[source] == wanted:
            return wanted
        return self._names.claim(wanted)

    def _replaced(self, index: int, last_use: dict[fx.Node, int]) -> fx.Node | None:
        """The one value that a statement reads, if it is read for the last time and may be replaced."""
        read = set(self._reads(self.statements[index]))
        if len(read) != 1 or _parts(self.statements[index]):
            return None
        source = read.pop()
        if last_use[source] > index or source.op == "placeholder" or _is_output(source):
            return None
        return source if self.variables[source] != TRUNK else None

    def _last_uses(self) -> dict[fx.Node, int]:
        uses = {}
        for index, node in enumerate([*self.statements, self.output]):
            for read in self._reads(node):
                uses[read] = index
        return uses

    def _reads(self, node: fx.Node) -> Iterator[fx.Node]:
        """The values with variables that the statement of `node` reads."""
        for operand in node.all_input_nodes:
            if operand.op == "placeholder" or _is_statement(operand) or _is_part(operand):
                yield operand
            else:
                yield from self._reads(operand)


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
    source: Any = node.args[0] if node.target is operator.getitem else None
    return isinstance(source, fx.Node) and source.target is getattr


def _is_output(node: fx.Node) -> bool:
    value = node.meta.get("value")
    return value is not None and bool(value.is_graph_output())


def _use_count(node: fx.Node) -> int:
    count = 0

    def count_if_node(argument: fx.Node) -> fx.Node:
        nonlocal count
        count += argument is node
        return argument

    for user in node.users:
        fx.node.map_arg((user.args, user.kwargs), count_if_node)
    return count
