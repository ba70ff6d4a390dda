"""Which nodes of an fx graph become statements of their own, and which are parts of other expressions."""

from __future__ import annotations

import operator
from collections.abc import Set
from typing import Any

from torch import fx

# An expression of more nodes than this is not repeated where it is used, but gets a variable.
MAX_INLINED = 50


def find_statements(graph: fx.Graph) -> list[fx.Node]:
    """The nodes with a variable, in order: values of ONNX nodes, and other results that are used twice.

    A size is written out wherever it is used, unless it is a long expression.
    """
    statements: dict[fx.Node, None] = {}
    sizes: set[fx.Node] = set()
    # How many nodes are written where a node is used.
    lengths: dict[fx.Node, int] = {}
    for node in graph.nodes:
        inlined = [lengths.get(operand, 0) for operand in node.all_input_nodes if operand not in statements]
        lengths[node] = 1 + sum(inlined)
        if _is_size(node, sizes):
            sizes.add(node)
        if _is_statement(node, sizes, lengths[node]):
            statements[node] = None
    return list(statements)


def parts(node: fx.Node) -> list[fx.Node | None]:
    """The elements of a result that is a tuple, None for unused ones; empty for a tensor."""
    count = node.meta.get("tuple", 0)
    if not count:
        return []
    found = {user.args[1]: user for user in node.users if is_part(user)}
    return [found.get(k) for k in range(count)]


def is_part(node: fx.Node) -> bool:
    """Whether a node is an element of a result that is a tuple."""
    source = node.args[0] if node.target is operator.getitem else None
    return isinstance(source, fx.Node) and "tuple" in source.meta


def _is_statement(node: fx.Node, sizes: Set[fx.Node], length: int) -> bool:
    if node.op in ("placeholder", "output", "get_attr") or node.target is getattr or is_part(node):
        return False
    if "value" in node.meta or bool(parts(node)):
        return True
    return (node not in sizes or length > MAX_INLINED) and _is_used_twice(node)


def _is_size(node: fx.Node, sizes: Set[fx.Node]) -> bool:
    """Whether a node is a size, or computed from sizes only."""
    if node.target is operator.getitem:
        source: Any = node.args[0]
        return isinstance(source, fx.Node) and source.target is getattr
    operands = node.all_input_nodes
    return (
        bool(operands)
        and all(operand in sizes for operand in operands)
        and getattr(node.target, "__module__", "") == "_operator"
    )


def _is_used_twice(node: fx.Node) -> bool:
    if len(node.users) != 1:
        return len(node.users) > 1
    count = 0

    def count_if_node(argument: fx.Node) -> fx.Node:
        nonlocal count
        count += argument is node
        return argument

    (user,) = node.users
    fx.node.map_arg((user.args, user.kwargs), count_if_node)
    return count > 1
