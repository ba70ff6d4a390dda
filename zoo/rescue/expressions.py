"""What an expression in a Python source stands for, where literals and variables alone decide it."""

from __future__ import annotations

import ast
import os
from dataclasses import dataclass
from pathlib import Path

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
# Deeper than any path is put together; a loop of variables ends here.
MOST_STEPS = 50
_JOINS = {"os.path.join", "path.join", "osp.join", "join"}
_UNCHANGED = {
    "str",
    "Path",
    "pathlib.Path",
    "os.path.abspath",
    "os.path.realpath",
    "os.fspath",
    "os.path.normpath",
}
_FOLDERS = {"os.path.dirname", "path.dirname", "osp.dirname", "dirname"}


@dataclass
class Scope:
    """The variables that an expression sees: those of its functions, from the inside, then the module's.

    levels: for each, the expressions that are assigned to a variable; None where it gets its value otherwise.
    path: the source, which is the value of `__file__`.
    """

    levels: list[dict[str, list[ast.expr | None]]]
    path: Path

    def value(self, node: ast.expr) -> tuple[str | None, str | None]:
        """(the string that an expression stands for, None) or (None, why it is not known)."""
        try:
            return self._text(node, MOST_STEPS), None
        except _UnknownError as error:
            return None, str(error)

    def resolved(self, node: ast.expr) -> ast.expr:
        """The expression that a variable stands for, if only one is assigned to it; else `node` itself."""
        try:
            for _ in range(MOST_STEPS):
                if not isinstance(node, ast.Name):
                    break
                node = self._assigned(node.id)
        except _UnknownError:
            pass
        return node

    def _text(self, node: ast.expr, steps: int) -> str:
        if not steps:
            raise _UnknownError("its variables depend on each other")
        match node:
            case ast.Constant(value=str() as text):
                return text
            case ast.Name(id="__file__"):
                return str(self.path.absolute())
            case ast.Name():
                return self._text(self._assigned(node.id), steps - 1)
            case ast.BinOp(op=ast.Add()):
                return self._text(node.left, steps - 1) + self._text(node.right, steps - 1)
            case ast.BinOp(op=ast.Div()):  # of pathlib
                return os.path.join(self._text(node.left, steps - 1), self._text(node.right, steps - 1))  # noqa: PTH118
            case ast.JoinedStr():
                return "".join(self._part(part, steps - 1) for part in node.values)
            case ast.Call():
                return self._called(node, steps - 1)
            case ast.Attribute(attr="parent"):
                return os.path.dirname(self._text(node.value, steps - 1))  # noqa: PTH120
        raise _UnknownError("decided when the program runs")

    def _part(self, node: ast.expr, steps: int) -> str:
        """A part of an f-string."""
        if isinstance(node, ast.FormattedValue):
            if node.conversion != -1 or node.format_spec is not None:
                raise _UnknownError("decided when the program runs")
            return self._text(node.value, steps)
        return self._text(node, steps)

    def _called(self, node: ast.Call, steps: int) -> str:
        name = ast.unparse(node.func)
        if name in _JOINS and node.args and not node.keywords:
            return os.path.join(*(self._text(part, steps) for part in node.args))  # noqa: PTH118
        if name in _UNCHANGED and len(node.args) == 1:
            return self._text(node.args[0], steps)
        if name in _FOLDERS and len(node.args) == 1:
            return os.path.dirname(self._text(node.args[0], steps))  # noqa: PTH120
        if (
            isinstance(node.func, ast.Attribute)
            and node.func.attr in ("resolve", "absolute")
            and not node.args
        ):
            return self._text(node.func.value, steps)
        raise _UnknownError("decided when the program runs")

    def _assigned(self, name: str) -> ast.expr:
        for level in self.levels:
            if name not in level:
                continue
            known = {ast.dump(value): value for value in level[name] if value is not None}
            if None in level[name]:
                raise _UnknownError("the caller or the program decides it")
            if len(known) > 1:
                raise _UnknownError("it is assigned more than once")
            return next(iter(known.values()))
        raise _UnknownError("it is not assigned in this file")


class _UnknownError(Exception):
    """An expression that literals and variables do not decide; the message says why."""


def scope_of(path: Path, tree: ast.Module, node: ast.AST) -> Scope:
    """The scope in which `node` of the source `path` stands."""
    functions = [
        function
        for function in ast.walk(tree)
        if isinstance(function, Function) and any(part is node for part in ast.walk(function))
    ]
    # The innermost function is the one that is walked last.
    return Scope([_variables(function) for function in [*reversed(functions), tree]], path)


def _variables(place: Function | ast.Module) -> dict[str, list[ast.expr | None]]:
    """The expressions that are assigned to each variable of a function or module; None for any other way."""
    found: dict[str, list[ast.expr | None]] = {}
    if isinstance(place, Function):
        arguments = place.args
        named = [
            *arguments.posonlyargs,
            *arguments.args,
            *arguments.kwonlyargs,
            arguments.vararg,
            arguments.kwarg,
        ]
        for argument in filter(None, named):
            found[argument.arg] = [None]
    body = place.body if isinstance(place.body, list) else [place.body]
    for statement in body:
        for node in _own_nodes(statement):
            match node:
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    found.setdefault(name, []).append(value)
                case ast.AnnAssign(target=ast.Name(id=name), value=value) if value is not None:
                    found.setdefault(name, []).append(value)
                case ast.Assign(targets=[ast.Tuple(elts=names)], value=ast.Tuple(elts=values)) if len(
                    names
                ) == len(values):
                    for target, value in zip(names, values, strict=True):
                        if isinstance(target, ast.Name):
                            found.setdefault(target.id, []).append(value)
                case ast.Assign():
                    for target in node.targets:
                        _assign_unknown(target, found)
                case ast.AugAssign() | ast.For() | ast.AsyncFor() | ast.NamedExpr():
                    _assign_unknown(node.target, found)
                case ast.withitem(optional_vars=ast.expr() as target):
                    _assign_unknown(target, found)
    return found


def _assign_unknown(target: ast.AST, found: dict[str, list[ast.expr | None]]) -> None:
    for part in ast.walk(target):
        if isinstance(part, ast.Name):
            found.setdefault(part.id, []).append(None)


def _own_nodes(node: ast.AST) -> list[ast.AST]:
    """The nodes of a statement, without functions and classes in it, which have their own variables."""
    found = [node]
    if isinstance(node, Function | ast.ClassDef):
        return []
    for child in ast.iter_child_nodes(node):
        found += _own_nodes(child)
    return found
