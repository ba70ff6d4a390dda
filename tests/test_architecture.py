"""The rooms of the project: who may import whom, and that nothing imports in a ring.

docs/architecture.md has the same table. Every import counts: at the top of a module, inside a function
and under TYPE_CHECKING.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import converters

CHECKOUT = Path(__file__).resolve().parents[1]
# The rooms of zoo/ from the ground up; a room may import those below it, and itself.
LEVELS = (
    ("errors", "vocabulary", "schema", "bundled", "environment"),
    ("files", "locks", "preprocessing"),
    ("catalog", "datasets", "evidence"),
    ("store", "runtimes", "claims"),
    ("download", "verification", "evaluation"),
    ("training", "rescue", "prediction"),
    ("report",),
    ("demo", "api", "publication"),
    ("cli",),
    ("__main__",),
)
# `zoo/__init__.py` hands on the names of `zoo.api` and is above everything that others import.
ROOMS = {room: level for level, rooms in enumerate(LEVELS, start=1) for room in rooms}


def modules(package: str) -> dict[str, Path]:
    """Every module of a package by its dotted name."""
    found = {}
    for path in sorted((CHECKOUT / package).rglob("*.py")):
        parts = path.relative_to(CHECKOUT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(path: Path, known: dict[str, Path]) -> Iterator[tuple[str, str | None]]:
    """(module, name) of all that a file imports from `known` modules; name None: the module itself."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            for alias in node.names:
                module = str(node.module)
                if f"{module}.{alias.name}" in known:
                    yield f"{module}.{alias.name}", None
                elif module in known:
                    yield module, alias.name
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name in known:
                    yield alias.name, None


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else "__init__"


def test_every_module_of_zoo_has_a_room():
    unknown = {room(name) for name in modules("zoo")} - ROOMS.keys() - {"__init__"}
    assert not unknown, f"give these rooms a level here and in docs/architecture.md: {sorted(unknown)}"


def test_the_documented_rooms_are_these():
    page = (CHECKOUT / "docs" / "architecture.md").read_text(encoding="utf-8")
    documented = re.findall(r"^\| (\d+) \| `(\w+)` \|", page, re.MULTILINE)
    assert {name: int(level) for level, name in documented} == ROOMS


def test_no_room_of_zoo_imports_one_above_it():
    known = modules("zoo")
    upwards = [
        f"{name} -> {other}"
        for name, path in known.items()
        for other, _ in imports(path, known)
        if name != "zoo" and room(other) not in (room(name), "__init__")
        if ROOMS[room(other)] >= ROOMS[room(name)]
    ]
    assert not upwards


def test_nothing_imports_in_a_ring():
    known = modules("zoo") | modules("converters")
    graph = {name: {other for other, _ in imports(path, known)} - {name} for name, path in known.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        raise AssertionError("a ring of imports: " + " -> ".join(reversed(error.args[1]))) from None


def test_converters_know_nothing_of_zoo():
    known = modules("zoo")
    assert not [name for name, path in modules("converters").items() if list(imports(path, known))]


def test_zoo_uses_only_the_public_names_of_converters():
    known = modules("converters")
    # `from converters import wire` and `from converters.wire import Buffer`, as wire is a public module.
    public = {"converters", *(f"converters.{name}" for name in converters.__all__)}
    private = [
        f"{name}: from {module} import {imported}"
        for name, path in modules("zoo").items()
        for module, imported in imports(path, known)
        if module not in public or (module == "converters" and imported not in {None, *converters.__all__})
    ]
    assert not private


def test_a_face_only_hands_names_on():
    """An `__init__.py` of zoo holds imports and `__all__`, so that nobody looks for code there."""
    code = [
        name
        for name, path in modules("zoo").items()
        if path.name == "__init__.py" and name != "zoo"
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
    ]
    assert not code
