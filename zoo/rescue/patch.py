"""The lines that replace a call, and the patch of a source."""

from __future__ import annotations

import ast
import difflib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from zoo.rescue.calls import Call, Forward, Source

NEW = "readNetFromONNX"


@dataclass(frozen=True, slots=True)
class Replacement:
    """What takes the place of a call.

    code: the new call, or lines to write by hand. written: whether the patch contains it.
    """

    call: Call
    code: str
    written: bool


def replacement(call: Call, sources: Sequence[Path], onnx: Path, inputs: Sequence[str]) -> Replacement:
    """The replacement of a call that reads `sources`, whose net is in `onnx`.

    inputs: the names of the net's inputs.
    """
    if call.reader.module == "cv2.dnn" and call.node is not None:
        function = _new_function(call.node.func)
        return Replacement(call, f"{function}({_path_expression(call, sources, onnx)})", written=True)
    place = _relative(onnx, call.path.parent)
    feeds = ", ".join(f"{name!r}: ..." for name in inputs)
    code = f"session = onnxruntime.InferenceSession({place!r})\noutputs = session.run(None, {{{feeds}}})"
    return Replacement(call, code, written=False)


def patched(source: Source, replacements: Sequence[Replacement]) -> str:
    """The text of a source with the new calls."""
    edits: dict[tuple[int, int], str] = {}
    starts = _line_starts(source.text)
    content = source.text.encode()
    for one in replacements:
        if one.written and one.call.node is not None:
            edits[_span(one.call.node, starts)] = one.code
    removed = {
        one.call.node.func.id
        for one in replacements
        if one.written and one.call.node is not None and isinstance(one.call.node.func, ast.Name)
    }
    if removed:
        edits |= _import_edits(ast.parse(source.text), removed, starts)
    if edits:
        edits |= {_span(use.node, starts): _one_by_one(use) for use in source.forwards if use.is_list}
    for (start, end), new in sorted(edits.items(), reverse=True):
        content = content[:start] + new.encode() + content[end:]
    return content.decode()


def unified_diff(source: Source, new: str) -> str:
    """The patch, as `patch` and `git apply` take it."""
    name = source.path.as_posix()
    lines = difflib.unified_diff(
        source.text.splitlines(keepends=True), new.splitlines(keepends=True), f"a/{name}", f"b/{name}"
    )
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
    )


def _one_by_one(use: Forward) -> str:
    """`net.forward(names)` for names in a list: OpenCV 5 takes a list only of all outputs of the net."""
    names = use.node.args[0] if use.node.args else use.node.keywords[0].value
    return f"[{ast.unparse(use.node.func)}(name) for name in {ast.unparse(names)}]"


def _new_function(function: ast.expr) -> str:
    """`cv2.dnn.readNetFromCaffe` -> `cv2.dnn.readNetFromONNX`."""
    if isinstance(function, ast.Attribute):
        return f"{ast.unparse(function.value)}.{NEW}"
    return NEW


def _path_expression(call: Call, sources: Sequence[Path], onnx: Path) -> str:
    """The path of the .onnx in the program: its own expression for the weights, with another ending."""
    assert call.node is not None
    old = sources[-1]
    same_name = onnx.name == f"{old.name.rpartition('.')[0] or old.name}.onnx"
    expression = _weights_expression(call)
    if not same_name or onnx.parent != old.parent or expression is None:
        return repr(_relative(onnx, call.path.parent))
    literals = [node for node in ast.walk(expression) if isinstance(node, ast.Constant)]
    endings = [
        node.value for node in literals if isinstance(node.value, str) and node.value.endswith(old.suffix)
    ]
    if len(endings) == 1 and old.suffix:
        copy = ast.parse(ast.unparse(expression), mode="eval").body
        return ast.unparse(_Renamed(endings[0], f"{endings[0].removesuffix(old.suffix)}.onnx").visit(copy))
    return f"str({ast.unparse(expression)}).rsplit('.', 1)[0] + '.onnx'"


class _Renamed(ast.NodeTransformer):
    """Replaces the literal that ends like the old file."""

    def __init__(self, old: str, new: str) -> None:
        self._old, self._new = old, new

    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        """The new literal for the old one."""
        return ast.Constant(self._new) if node.value == self._old else node


def _weights_expression(call: Call) -> ast.expr | None:
    assert call.node is not None
    positions = {name: k for k, name in enumerate(call.reader.parameters)}
    for keyword in call.node.keywords:
        if keyword.arg == call.reader.weights:
            return keyword.value
    place = positions[call.reader.weights]
    return call.node.args[place] if place < len(call.node.args) else None


def _relative(path: Path, folder: Path) -> str:
    """A path as seen from a folder, with forward slashes."""
    try:
        return Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:  # another drive
        return path.absolute().as_posix()


def _line_starts(text: str) -> list[int]:
    """The byte at which each line starts; columns of a syntax tree are bytes too."""
    starts = [0]
    for line in text.encode().splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    return starts


def _span(node: ast.expr | ast.stmt, starts: Sequence[int]) -> tuple[int, int]:
    assert node.end_lineno is not None
    assert node.end_col_offset is not None
    return starts[node.lineno - 1] + node.col_offset, starts[node.end_lineno - 1] + node.end_col_offset


def _import_edits(tree: ast.Module, removed: set[str], starts: Sequence[int]) -> dict[tuple[int, int], str]:
    """`from cv2.dnn import readNetFromCaffe` would fail: the new function takes the place of the old."""
    edits = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "cv2.dnn":
            kept = [name for name in node.names if (name.asname or name.name) not in removed]
            if len(kept) < len(node.names):
                new = ast.ImportFrom(node.module, [*kept, ast.alias(NEW)], 0)
                edits[_span(node, starts)] = ast.unparse(new)
    return edits
