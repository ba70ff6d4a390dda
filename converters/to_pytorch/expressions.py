"""Writes the nodes of an fx graph as Python expressions."""

from __future__ import annotations

import functools
import inspect
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import fx

from converters.to_pytorch import helpers

WIDTH = 88
ATOM, UNARY = 20, 11
_INFIX: dict[Callable[..., Any], tuple[str, int]] = {
    operator.matmul: ("@", 10),
    operator.mul: ("*", 10),
    operator.truediv: ("/", 10),
    operator.floordiv: ("//", 10),
    operator.mod: ("%", 10),
    operator.add: ("+", 9),
    operator.sub: ("-", 9),
    operator.and_: ("&", 7),
    operator.xor: ("^", 6),
    operator.or_: ("|", 5),
    operator.lt: ("<", 4),
    operator.le: ("<=", 4),
    operator.gt: (">", 4),
    operator.ge: (">=", 4),
    operator.eq: ("==", 4),
    operator.ne: ("!=", 4),
}
_PREFIX = {operator.neg: "-", operator.invert: "~"}


@dataclass(frozen=True)
class Expression:
    """Text of an expression, and the parts at which it may be broken: `head`, the arguments, `tail`."""

    text: str
    precedence: int = ATOM
    head: str = ""
    arguments: tuple[Expression, ...] = ()
    tail: str = ""

    def as_operand(self, precedence: int) -> str:
        """The text as an operand of an operator of this precedence, in parentheses if it needs them."""
        return self.text if self.precedence >= precedence else f"({self.text})"

    def keyword(self, name: str) -> Expression:
        """`name=...`."""
        return Expression(f"{name}={self.text}", 0, f"{name}={self.head}", self.arguments, self.tail)


class ExpressionWriter:
    """Writes nodes as expressions. `variables` gives the name of each node that has a variable."""

    def __init__(self, variables: Mapping[fx.Node, str]) -> None:
        self.variables = variables

    def expression(self, node: fx.Node) -> Expression:
        """The expression that computes the value of `node`."""
        arguments = list(node.args)
        if node.op == "get_attr":
            return Expression(f"self.{node.target}")
        if node.op == "call_module":
            return self._call(f"self.{node.target}", arguments, {})
        if node.op == "call_method":
            head = self.value(arguments[0]).as_operand(ATOM)
            return self._call(f"{head}.{node.target}", arguments[1:], node.kwargs)
        assert callable(node.target), node.format_node()
        return self._function(node.target, arguments, node.kwargs)

    def value(self, value: Any) -> Expression:  # noqa: ANN401
        """An argument: a variable, the expression of a node without a variable, or a literal."""
        if isinstance(value, fx.Node):
            if value in self.variables:
                return Expression(self.variables[value])
            return self.expression(value)
        if isinstance(value, list | tuple):
            items = tuple(self.value(item) for item in value)
            brackets = "[]" if isinstance(value, list) else "()"
            comma = "," if isinstance(value, tuple) and len(items) == 1 else ""
            text = ", ".join(item.text for item in items)
            return Expression(
                f"{brackets[0]}{text}{comma}{brackets[1]}", ATOM, brackets[0], items, brackets[1]
            )
        return Expression(literal(value), UNARY if isinstance(value, int | float) and value < 0 else ATOM)

    def _function(
        self, function: Callable[..., Any], arguments: list[Any], keywords: Mapping[str, Any]
    ) -> Expression:
        if function in _INFIX:
            sign, precedence = _INFIX[function]
            left, right = self.value(arguments[0]), self.value(arguments[1])
            return Expression(
                f"{left.as_operand(precedence)} {sign} {right.as_operand(precedence + 1)}", precedence
            )
        if function in _PREFIX:
            return Expression(f"{_PREFIX[function]}{self.value(arguments[0]).as_operand(UNARY)}", UNARY)
        if function is getattr:
            return Expression(f"{self.value(arguments[0]).as_operand(ATOM)}.{arguments[1]}")
        if function is operator.getitem:
            return Expression(f"{self.value(arguments[0]).as_operand(ATOM)}[{self._index(arguments[1])}]")
        return self._call(function_name(function), arguments, non_default_keywords(function, keywords))

    def _call(self, name: str, arguments: list[Any], keywords: Mapping[str, Any]) -> Expression:
        return call(name, [self.value(a) for a in arguments], {k: self.value(v) for k, v in keywords.items()})

    def _index(self, index: Any) -> str:  # noqa: ANN401
        if isinstance(index, tuple) and index:
            return ", ".join(self._index(item) for item in index)
        if isinstance(index, slice):
            given = (index.start, index.stop, index.step)
            ends = ["" if end is None else self.value(end).text for end in given]
            simple = all(re.fullmatch(r"-?[\w.]*", end) for end in ends)
            return (":" if simple else " : ").join(ends if ends[2] else ends[:2]).strip()
        return self.value(index).text


def call(
    name: str, arguments: list[Expression], keywords: Mapping[str, Expression] | None = None
) -> Expression:
    """`name(arguments, key=value)`."""
    items = (*arguments, *(value.keyword(key) for key, value in (keywords or {}).items()))
    return Expression(f"{name}({', '.join(item.text for item in items)})", ATOM, f"{name}(", items, ")")


def literal(value: Any) -> str:  # noqa: ANN401
    """A constant as Python text."""
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return f'float("{value}")'
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return str(value).replace("e+", "e")


def function_name(function: Callable[..., Any]) -> str:
    """The name of a function in the generated file: F.relu, torch.cat, or that of a helper."""
    name = function.__name__
    if getattr(F, name, None) is function:
        return f"F.{name}"
    if getattr(torch, name, None) is function:
        return f"torch.{name}"
    assert function.__module__.startswith(helpers.__name__), function
    return name


def non_default_keywords(function: Callable[..., Any], keywords: Mapping[str, Any]) -> dict[str, Any]:
    """The keyword arguments that differ from the function's defaults: torch's tracing records all of them."""
    defaults = _defaults(function)
    return {k: v for k, v in keywords.items() if k not in defaults or not _equal(defaults[k], v)}


def _equal(default: Any, value: Any) -> bool:  # noqa: ANN401
    return type(default) is type(value) and bool(default == value)


@functools.cache
def _defaults(function: Callable[..., Any]) -> Mapping[str, Any]:
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):  # functions written in C++ have no signature
        return {}
    return {name: p.default for name, p in parameters.items() if p.default is not p.empty}


def break_lines(indent: str, prefix: str, expression: Expression, suffix: str = "") -> list[str]:
    """`prefix + expression + suffix`; a line longer than WIDTH is broken at the arguments."""
    line = f"{indent}{prefix}{expression.text}{suffix}"
    if len(line) <= WIDTH:
        return [line]
    inner = f"{indent}    "
    if not expression.arguments:
        unwrapped = expression.precedence == ATOM or prefix.endswith("(") or not prefix
        return (
            [line] if unwrapped else [f"{indent}{prefix}(", f"{inner}{expression.text}", f"{indent}){suffix}"]
        )
    joined = inner + ", ".join(argument.text for argument in expression.arguments)
    first, last = f"{indent}{prefix}{expression.head}", f"{indent}{expression.tail}{suffix}"
    # A call gets one argument per line only if all do not fit on one line; a list or tuple always does.
    if len(joined) <= WIDTH and re.search(r"\w\($", expression.head):
        return [first, joined, last]
    body = [text for argument in expression.arguments for text in break_lines(inner, "", argument, ",")]
    return [first, *body, last]
