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

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace

from torch import fx

from converters.to_pytorch.expressions import WIDTH, ExpressionWriter, break_lines
from converters.to_pytorch.generated_net import GeneratedNet
from converters.to_pytorch.naming import Names, identifier, printable
from converters.to_pytorch.statements import find_statements, is_part, parts

INDENT = " " * 8
TRUNK, BRANCH = "x", "y"


class ForwardBody:
    """The statements of `forward` for one net."""

    def __init__(self, net: GeneratedNet) -> None:
        graph = net.graph
        self.submodules = net.submodules
        self.output = next(node for node in graph.nodes if node.op == "output")
        self.inputs = [node for node in graph.nodes if node.op == "placeholder"]
        self.statements = find_statements(graph)
        self._statement_set = set(self.statements)
        self._runs = self._find_runs()
        self.variables: dict[fx.Node, str] = {node: str(node.target) for node in self.inputs}
        self._names = Names({*self.variables.values(), TRUNK, BRANCH})
        self._output_names = self._name_outputs()
        self._operand_sets = {
            node: dict.fromkeys(self._operands(node)) for node in [*self.statements, self.output]
        }
        self._users = self._find_users()
        self._last_use, self._last_computation = self._find_last_uses()
        self._name_all()
        # by run: its statements that do not show the name of their layer
        self._unnamed: dict[range, list[int]] = {}
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
        elements = [self.variables[part] if part is not None else "_" for part in parts(node)]
        target = ", ".join(elements) or self.variables[node]
        text = break_lines(INDENT, f"{target} = ", self._writer.expression(node))
        run = self._runs[index]
        if run not in self._unnamed:
            self._unnamed[run] = [k for k in run if not self._names_its_layer(self.statements[k])]
        unnamed = self._unnamed[run]
        # One comment for each run: beside the only statement that needs it, else above the first.
        if not unnamed or index != (unnamed[0] if len(unnamed) == 1 else run[0]):
            return text
        comment = f"# {printable(str(node.meta['layer']))}"
        if len(unnamed) == 1 and len(text) == 1 and len(text[0]) + 2 + len(comment) <= WIDTH:
            return [f"{text[0]}  {comment}"]
        return [f"{INDENT}{comment}", *text]

    def _find_runs(self) -> list[range]:
        """For each statement, the indices of the adjacent statements of the same layer, itself included."""
        runs: list[range] = []
        start = 0
        for index, node in enumerate(self.statements):
            following = self.statements[index + 1] if index + 1 < len(self.statements) else None
            if following is None or following.meta["layer"] != node.meta["layer"]:
                runs += [range(start, index + 1)] * (index + 1 - start)
                start = index + 1
        return runs

    def _names_its_layer(self, node: fx.Node) -> bool:
        """Whether the name of the layer can be seen in the statement of a node."""
        layer = str(node.meta["layer"])
        module = self.submodules.get(str(node.target)) if node.op == "call_module" else None
        return (module is not None and module.layer == layer) or self.variables.get(node) == identifier(layer)

    def _name_outputs(self) -> dict[fx.Node, str]:
        names: dict[fx.Node, str] = {}
        for name, node in self.output.meta["names"].items():
            if node not in names and (node in self._statement_set or is_part(node)):
                names[node] = self._names.unique(name)
        return names

    def _name_all(self) -> None:
        alive = _Alive(self.variables, self._last_use, self._last_computation)
        for node in self.inputs:
            alive.add(node)
        for index, node in enumerate(self.statements):
            alive.advance(index)
            for result in [part for part in parts(node) if part is not None] or [node]:
                self.variables[result] = self._name(result, index, alive)
                alive.add(result)

    def _name(self, node: fx.Node, index: int, alive: _Alive) -> str:
        if node in self._output_names:
            return self._output_names[node]
        if not alive.has(TRUNK) and not alive.needed and node is self.statements[index]:
            return TRUNK
        previous = self._previous_in_chain(node, index)
        if previous is not None and self.variables[previous] != TRUNK:
            return self.variables[previous]
        end = self._end_of_chain(node)
        if not alive.has(BRANCH) and self._is_combined_with_trunk(end):
            return BRANCH
        return self._output_names.get(end) or self._names.unique(_blob_name(end))

    def _find_last_uses(self) -> tuple[dict[fx.Node, int], dict[fx.Node, int]]:
        """The index of the last statement that uses each value, and of the last before the return."""
        end = len(self.statements)
        last = {node: max(users) for node, users in self._users.items()}
        computed = {
            node: max((user for user in users if user != end), default=-1)
            for node, users in self._users.items()
        }
        return last, computed

    def _previous_in_chain(self, node: fx.Node, index: int) -> fx.Node | None:
        """The only operand of `node`, if it is used nowhere else and is no input of the net."""
        operands = self._operand_sets[self.statements[index]]
        if len(operands) != 1 or node is not self.statements[index]:
            return None
        (operand,) = operands
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

    def _is_combined_with_trunk(self, node: fx.Node) -> bool:
        """Whether the only statement that uses `node` combines the trunk with values not named yet."""
        users = self._users.get(node, [])
        if len(users) != 1 or users[0] == len(self.statements):
            return False
        names = set()
        for operand in self._operand_sets[self.statements[users[0]]]:
            names.add(self.variables.get(operand))
            if not names <= {TRUNK, None}:
                return False
        return names == {TRUNK, None}

    def _find_users(self) -> dict[fx.Node, list[int]]:
        """The indices of the statements that use each value; the return statement counts as the last."""
        users: dict[fx.Node, list[int]] = {}
        for index, node in enumerate([*self.statements, self.output]):
            for operand in self._operand_sets[node]:
                users.setdefault(operand, []).append(index)
        return users

    def _operands(self, node: fx.Node) -> Iterator[fx.Node]:
        """The values with a variable that the statement of `node` uses."""
        for operand in node.all_input_nodes:
            if operand.op == "placeholder" or operand in self._statement_set or is_part(operand):
                yield operand
            else:
                yield from self._operands(operand)


def _blob_name(node: fx.Node) -> str:
    """The name of the blob that a value is; for an intermediate step of a layer, the name of the layer."""
    value = node.meta.get("value")
    if value is None or str(value.name).startswith(f"{node.meta['layer']}/{value.producer().op_type}"):
        return str(node.meta["layer"])
    return str(value.name)


class _Alive:
    """The values that later statements use, while the statements are named one after the other.

    needed: how many computed values another computation needs, not only the return statement.
    """

    def __init__(
        self,
        variables: Mapping[fx.Node, str],
        last_use: Mapping[fx.Node, int],
        last_computation: Mapping[fx.Node, int],
    ) -> None:
        self.needed = 0
        self._variables = variables
        self._last_use = last_use
        self._last_computation = last_computation
        self._names: Counter[str] = Counter()
        self._index = -1
        # by index of a statement: the names whose values end there, and how many values are no longer needed
        self._ending: dict[int, list[str]] = {}
        self._done: Counter[int] = Counter()

    def has(self, name: str) -> bool:
        """Whether a variable of this name holds such a value."""
        return self._names[name] > 0

    def add(self, node: fx.Node) -> None:
        """Count a value that has its variable."""
        last, computation = self._last_use.get(node, 0), self._last_computation.get(node, -1)
        self._names[self._variables[node]] += 1
        self._ending.setdefault(max(last, self._index + 1), []).append(self._variables[node])
        if node.op != "placeholder" and computation > self._index:
            self.needed += 1
            self._done[computation] += 1

    def advance(self, index: int) -> None:
        """Go to the statement of this index, the one after the last: what it uses last is free for it."""
        self._index = index
        for name in self._ending.pop(index, ()):
            self._names[name] -= 1
        self.needed -= self._done.pop(index, 0)
