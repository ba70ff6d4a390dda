"""Finds the calls in Python and C++ sources that read Caffe or Torch7 files. No code of them is run."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from zoo.errors import UsageError
from zoo.rescue.expressions import Scope, scope_of

# Larger than any hand-written source; a generated one may be a table of data.
MOST_BYTES = 10_000_000
PYTHON, CPP = {".py", ".pyw"}, {".c", ".cc", ".cpp", ".cxx", ".h", ".hh", ".hpp", ".ipp"}


@dataclass(frozen=True, slots=True)
class Reader:
    """A function that reads a Caffe or Torch7 file.

    parameters: the names of its parameters, in order.
    definition, weights: which of them are files; of a Torch7 file only `weights`.
    module: where the function lives, as a dotted name.
    """

    module: str
    name: str
    parameters: tuple[str, ...]
    definition: str | None
    weights: str

    @property
    def called(self) -> str:
        """The dotted name."""
        return f"{self.module}.{self.name}"


READERS = (
    Reader("cv2.dnn", "readNetFromCaffe", ("prototxt", "caffeModel"), "prototxt", "caffeModel"),
    Reader("cv2.dnn", "readNetFromTorch", ("model", "isBinary", "evaluate"), None, "model"),
    Reader("cv2.dnn", "readNet", ("model", "config", "framework"), "config", "model"),
    Reader("caffe", "Net", ("network_file", "phase", "weights"), "network_file", "weights"),
    Reader("torch.utils.serialization", "load_lua", ("filename",), None, "filename"),
    Reader("torchfile", "load", ("filename",), None, "filename"),
)
# Functions with such a name are theirs wherever they come from; the others have names that anything may have.
UNMISTAKABLE = {"readNetFromCaffe", "readNetFromTorch", "load_lua"}


@dataclass(frozen=True, slots=True)
class Call:
    """A call that reads a Caffe or Torch7 file.

    path, line: where it stands. text: its source.
    definition, weights: the paths of the files as the program would have them; None where there is none or
        `problem` says why it is not known.
    node: the call in the syntax tree, of Python.
    """

    path: Path
    line: int
    reader: Reader
    text: str
    definition: str | None = None
    weights: str | None = None
    problem: str | None = None
    node: ast.Call | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Forward:
    """A call of a net's method `forward`, and the names of layers that it asks for, as a list or alone."""

    node: ast.Call
    names: list[str]
    is_list: bool


@dataclass(frozen=True, slots=True)
class Source:
    """A program: its text, the calls in it that read nets, and where it runs them."""

    path: Path
    text: str
    calls: list[Call]
    forwards: list[Forward]


def find_sources(place: Path) -> list[Path]:
    """The Python and C++ files that `place` is, or that lie under it; those of environments are left out.

    Raises:
        UsageError: there is no such file or folder, or no source in it.
    """
    if place.is_file():
        if place.suffix in PYTHON | CPP:
            return [place]
        raise UsageError(
            f"{place}: expected a Python or C++ source ({', '.join(sorted(PYTHON | CPP))}), or a folder"
        )
    if not place.is_dir():
        raise UsageError(f"{place}: no such file or folder")
    found = [
        path
        for path in sorted(place.rglob("*"))
        if path.suffix in PYTHON | CPP and path.is_file() and not _is_installed(path.relative_to(place))
    ]
    if not found:
        raise UsageError(f"{place}: there is no Python or C++ source in this folder")
    return found


def _is_installed(path: Path) -> bool:
    return any(part in ("site-packages", "node_modules") or part.startswith(".") for part in path.parts[:-1])


def read_source(path: Path) -> Source:
    """A source with its calls, in the order of its lines.

    Raises:
        UsageError: it is no text, too large, or no Python that this Python can parse.
    """
    if path.stat().st_size > MOST_BYTES:
        raise UsageError(f"{path}: {path.stat().st_size:,} bytes are too many for a source")
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not UTF-8 text: {error}") from error
    if path.suffix in CPP:
        return Source(path, text, list(_calls_in_cpp(path, text)), [])
    try:
        tree = ast.parse(text, str(path))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", None)
        place = f"{path}:{line}" if line else f"{path}"
        raise UsageError(f"{place}: this is no Python 3 that can be parsed: {error}") from error
    imports = _imports(tree)
    calls = [
        _call(path, text, node, reader, scope_of(path, tree, node))
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and (reader := _reader(node.func, imports)) is not None
    ]
    forwards = [
        _forward(path, tree, node)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "forward"
    ]
    return Source(path, text, sorted(calls, key=lambda call: call.line), forwards if calls else [])


def _imports(tree: ast.AST) -> dict[str, str]:
    """What the names that a module imports stand for, as dotted names."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                found[name.asname or name.name.partition(".")[0]] = (
                    name.name if name.asname else name.name.partition(".")[0]
                )
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for name in node.names:
                found[name.asname or name.name] = f"{node.module}.{name.name}"
    return found


def _reader(function: ast.expr, imports: Mapping[str, str]) -> Reader | None:
    """The reader that an expression names."""
    dotted = _dotted(function)
    if dotted is None:
        return None
    first, _, rest = dotted.partition(".")
    known = f"{imports.get(first, first)}.{rest}" if rest else imports.get(first, first)
    for reader in READERS:
        alone = known.rpartition(".")[2] == reader.name and reader.name in UNMISTAKABLE
        if alone or known == reader.called:
            return reader
    return None


def _dotted(node: ast.expr) -> str | None:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        # Such as self.cv2.dnn.readNetFromCaffe behind a call: the last name decides.
        return parts[0] if parts else None
    return ".".join([node.id, *reversed(parts)])


def _call(path: Path, text: str, node: ast.Call, reader: Reader, scope: Scope) -> Call:
    given = _arguments(node, reader)
    values: dict[str, str | None] = {}
    problems = []
    for name in filter(None, (reader.definition, reader.weights)):
        if (expression := given.get(name)) is None:
            continue
        value, problem = scope.value(expression)
        if isinstance(value, str):
            values[name] = value
        else:
            problems.append(f"{ast.unparse(expression)}: {problem or 'not the name of a file'}")
    if not values and not problems:
        problems.append("no file is given")
    definition = values.get(reader.definition) if reader.definition else None
    source = ast.get_source_segment(text, node) or ast.unparse(node)
    return Call(
        path,
        node.lineno,
        reader,
        source,
        definition,
        values.get(reader.weights),
        "; ".join(problems) or None,
        node,
    )


def _arguments(node: ast.Call, reader: Reader) -> dict[str, ast.expr]:
    """The arguments by parameter. caffe.Net has an older form: (definition, weights, phase)."""
    parameters = reader.parameters
    if reader.called == "caffe.Net" and len(node.args) == 3:
        parameters = ("network_file", "weights", "phase")
    given = dict(zip(parameters, node.args, strict=False))
    return given | {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg is not None}


def _forward(path: Path, tree: ast.Module, node: ast.Call) -> Forward:
    """A call of `forward`; a variable is followed to the list or name that is assigned to it."""
    given = [*node.args, *(keyword.value for keyword in node.keywords)]
    names: list[str] = []
    is_list = False
    for expression in given[:1]:
        known = scope_of(path, tree, node).resolved(expression)
        is_list = isinstance(known, ast.List | ast.Tuple)
        parts = [part for part in ast.walk(known) if isinstance(part, ast.Constant)]
        names += [part.value for part in parts if isinstance(part.value, str)]
    return Forward(node, names, is_list)


_CPP_CALL = re.compile(r"\b(readNetFromCaffe|readNetFromTorch|readNet|caffe::Net<\w+>)\s*\(")


def _calls_in_cpp(path: Path, text: str) -> Iterator[Call]:
    """Calls in C++ are found by text and only listed: its arguments are not followed."""
    by_name = {reader.name: reader for reader in READERS}
    for number, line in enumerate(text.splitlines(), 1):
        code = line.partition("//")[0]
        for match in _CPP_CALL.finditer(code):
            name = "Net" if match[1].startswith("caffe::") else match[1]
            yield Call(path, number, by_name[name], line.strip()[:200], problem="C++ is listed, not changed")
