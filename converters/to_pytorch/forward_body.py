"""The body of `forward`: which values get a variable, the names of the variables, and the statements.

Each value of an ONNX node has a variable; a part of its expression has one only if it is used more than once.
Variables are named as in handwritten code, and reassigned so that memory is freed as soon as possible:

1. A graph output has its ONNX name.
2. A value is `x`, the trunk of the net, if no other computed value is still needed.
3. Otherwise the values of a chain, in which each is used only to compute the next, share one variable. It
   is named after the blob at the end of the chain, or is `y` if that value is then combined with the trunk,
   as in a residual block.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from torch import fx

from converters.to_pytorch.expressions import WIDTH, ExpressionWriter, break_lines
from converters.to_pytorch.generated_net import GeneratedNet
from converters.to_pytorch.naming import Names, identifier, printable

INDENT = " " * 8
TRUNK, BRANCH = "x", "y"


class ForwardBody:
    """The statements of `forward` for one net."""

    def __init__(self, net: GeneratedNet) -> None:
        graph = net.graph
        self.submodules = net.submodules
        self.output = next(node for node in graph.nodes if node.op == "output")
        self.inputs = [node for node in graph.nodes if node.op == "placeholder"]
        self.statements = [node for node in graph.nodes if _is_statement(node)]
        self.variables: dict[fx.Node, str] = {node: str(node.target) for node in self.inputs}
        self._names = Names({*self.variables.values(), TRUNK, BRANCH})
        self._output_names = self._name_outputs()
        self._users = self._find_users()
        self._name_all()
        self._writer = ExpressionWriter(self.variables)

    def lines(self) -> list[str]:
        """The lines of code, indented for a method."""
        body = [line for k in range(len(self.statements)) for line in self._statement(k)]
        value = self._writer.value(self.output.args[0])
        if isinstance(self.output.args[0], tuple):
            value = replace(value, text=value.text[1:-1])
        return [*body, *break_lines(INDENT, "return ", value)]

    def _statement(self, index: int) -> list[str]:
        node = self.statements[index]
        parts = [self.variables[part] if part is not None else "_" for part in _parts(node)]
        target = ", ".join(parts) or self.variables[node]
        text = break_lines(INDENT, f"{target} = ", self._writer.expression(node))
        run = self._run(index)
        unnamed = [k for k in run if not self._names_its_layer(self.statements[k])]
        # One comment for each run: beside the only statement that needs it, else above the first.
        if not unnamed or index != (unnamed[0] if len(unnamed) == 1 else run[0]):
            return text
        comment = f"# {printable(str(node.meta['layer']))}"
        if len(unnamed) == 1 and len(text) == 1 and len(text[0]) + 2 + len(comment) <= WIDTH:
            return [f"{text[0]}  {comment}"]
        return [f"{INDENT}{comment}", *text]

    def _run(self, index: int) -> range:
        """The indices of the adjacent statements that belong to the same layer, this one included."""
        layer = self.statements[index].meta["layer"]
        start = end = index
        while start > 0 and self.statements[start - 1].meta["layer"] == layer:
            start -= 1
        while end + 1 < len(self.statements) and self.statements[end + 1].meta["layer"] == layer:
            end += 1
        return range(start, end + 1)

    def _names_its_layer(self, node: fx.Node) -> bool:
        """Whether the name of the layer can be seen in the statement of a node."""
        layer = str(node.meta["layer"])
        module = self.submodules.get(str(node.target)) if node.op == "call_module" else None
        return (module is not None and module.layer == layer) or self.variables.get(node) == identifier(layer)

    def _name_outputs(self) -> dict[fx.Node, str]:
        names: dict[fx.Node, str] = {}
        for name, node in self.output.meta["names"].items():
            if node not in names and (_is_statement(node) or _is_part(node)):
                names[node] = self._names.unique(name)
        return names

    def _name_all(self) -> None:
        alive = list(self.inputs)
        for index, node in enumerate(self.statements):
            alive = [other for other in alive if max(self._users.get(other, [0])) > index]
            for result in [part for part in _parts(node) if part is not None] or [node]:
                self.variables[result] = self._name(result, index, alive)
                alive.append(result)

    def _name(self, node: fx.Node, index: int, alive: list[fx.Node]) -> str:
        if node in self._output_names:
            return self._output_names[node]
        taken = {self.variables[other] for other in alive}
        needed = [
            other for other in alive if other.op != "placeholder" and not self._is_finished(other, index)
        ]
        if TRUNK not in taken and not needed and node is self.statements[index]:
            return TRUNK
        previous = self._previous_in_chain(node, index)
        if previous is not None and self.variables[previous] != TRUNK:
            return self.variables[previous]
        end = self._end_of_chain(node)
        combined = {self.variables.get(other) for other in self._operands_of_next(end)}
        if combined == {TRUNK, None} and BRANCH not in taken:
            return BRANCH
        return self._output_names.get(end) or self._names.unique(_blob_name(end))

    def _is_finished(self, node: fx.Node, index: int) -> bool:
        """Whether after this statement a value is only returned."""
        return all(user <= index or user == len(self.statements) for user in self._users[node])

    def _previous_in_chain(self, node: fx.Node, index: int) -> fx.Node | None:
        """The only operand of `node`, if it is used nowhere else and is no input of the net."""
        operands = set(self._operands(self.statements[index]))
        if len(operands) != 1 or node is not self.statements[index]:
            return None
        operand = operands.pop()
        return operand if operand.op != "placeholder" and self._users[operand] == [index] else None

    def _end_of_chain(self, node: fx.Node) -> fx.Node:
        """The last value of the chain that begins with `node`."""
        while True:
            users = self._users.get(node, [])
            if len(users) != 1 or users[0] == len(self.statements):
                return node
            following = self.statements[users[0]]
            if self._previous_in_chain(following, users[0]) is not node:
                return node
            node = following

    def _operands_of_next(self, node: fx.Node) -> set[fx.Node]:
        """The operands of the only statement that uses `node`; empty if there are several."""
        users = self._users.get(node, [])
        if len(users) != 1 or users[0] == len(self.statements):
            return set()
        return set(self._operands(self.statements[users[0]]))

    def _find_users(self) -> dict[fx.Node, list[int]]:
        """The indices of the statements that use each value; the return statement counts as the last."""
        users: dict[fx.Node, list[int]] = {}
        for index, node in enumerate([*self.statements, self.output]):
            for operand in set(self._operands(node)):
                users.setdefault(operand, []).append(index)
        return users

    def _operands(self, node: fx.Node) -> Iterator[fx.Node]:
        """The values with a variable that the statement of `node` uses."""
        for operand in node.all_input_nodes:
            if operand.op == "placeholder" or _is_statement(operand) or _is_part(operand):
                yield operand
            else:
                yield from self._operands(operand)


def _blob_name(node: fx.Node) -> str:
    """The name of the blob that a value is; for an intermediate step of a layer, the name of the layer."""
    value = node.meta.get("value")
    if value is None or str(value.name).startswith(f"{node.meta['layer']}/{value.producer().op_type}"):
        return str(node.meta["layer"])
    return str(value.name)


def _is_statement(node: fx.Node) -> bool:
    if node.op in ("placeholder", "output", "get_attr") or node.target is getattr or _is_part(node):
        return False
    return "value" in node.meta or bool(_parts(node)) or (_use_count(node) > 1 and not _is_size(node))


def _parts(node: fx.Node) -> list[fx.Node | None]:
    """The elements of a result that is a tuple, None for unused ones; empty for a tensor."""
    count = node.meta.get("tuple", 0)
    found = {user.args[1]: user for user in node.users if _is_part(user)}
    return [found.get(k) for k in range(count)]


def _is_part(node: fx.Node) -> bool:
    source = node.args[0] if node.target is operator.getitem else None
    return isinstance(source, fx.Node) and "tuple" in source.meta


def _is_size(node: fx.Node) -> bool:
    """Whether a node is a size, or computed from sizes only. It needs no variable."""
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
