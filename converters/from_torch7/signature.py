"""What a net takes as input: what its modules imply, and what the caller says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from converters.errors import UsageError
from converters.from_torch7.module import Module
from converters.from_torch7.net import Net
from converters.from_torch7.registry import Expected
from converters.graph import Dim, Shape, Symbol
from converters.options import Options

# How sizes that a net leaves open are called, by the rank of the input: batch, channels, time, ...
_SIZE_NAMES = {1: "F", 2: "NF", 3: "NTF", 4: "NCHW", 5: "NCTHW"}
_EXAMPLE_SIZES = {"N": "N", "C": "3"}

NamedShapes = dict[str, Shape]


def input_shapes(net: Net, root: Module, options: Options) -> tuple[NamedShapes, bool]:
    """The inputs by name, and whether they form a table.

    A shape the caller gives is taken as it is; the others are what the modules imply. UsageError for a name
    that the net does not have, or an input whose shape nothing implies.
    """
    expected = _expected(net, root)
    given = {name: _given(shape) for name, shape in options.input_shapes.items()}
    table = isinstance(expected, list) or (bool(given) and "input" not in given)
    wanted: list[Expected] = expected if isinstance(expected, list) else [expected]
    if table and not isinstance(expected, list):
        wanted = [None] * len(given)
    names = [f"input_{k}" for k in range(len(wanted))] if table else ["input"]
    if unknown := sorted(given.keys() - set(names)):
        raise UsageError(f"the net has no input called {unknown[0]!r}; its inputs are {', '.join(names)}")
    shapes = {
        name: given[name] if name in given else _implied(name, shape, options.static_batch)
        for name, shape in zip(names, wanted, strict=True)
    }
    return shapes, table


def advice(shapes: Mapping[str, Shape]) -> str:
    """The option that fixes every size that is open."""
    open_shapes = {name: shape for name, shape in shapes.items() if any(isinstance(s, Symbol) for s in shape)}
    return " ".join(f"--input-shape {name}={_example(shape)}" for name, shape in open_shapes.items())


def _expected(net: Net, root: Module) -> Expected:
    def ask(m: Module) -> Expected:
        return net.entry(m).expected(m, ask)

    try:
        return ask(root)
    except RecursionError:
        return None  # a hostile nest, which the conversion itself refuses with a reason


def _given(shape: tuple[Any, ...]) -> Shape:
    return tuple(size if isinstance(size, int) else Symbol(size) for size in shape)


def _implied(name: str, shape: Expected, static_batch: int | None) -> Shape:
    if not isinstance(shape, tuple) or not shape or len(shape) not in _SIZE_NAMES:
        raise UsageError(
            f"the net does not say what shape its input {name!r} has; give it, "
            f"such as --input-shape {name}=N,3,224,224"
        )
    named = zip(shape, _SIZE_NAMES[len(shape)], strict=True)
    sizes: list[Dim] = [Symbol(letter) if size is None else size for size, letter in named]
    if static_batch is not None:
        sizes = [static_batch if size == Symbol("N") else size for size in sizes]
    return tuple(sizes)


def _example(shape: Shape) -> str:
    return ",".join(_EXAMPLE_SIZES.get(str(s), "224") if isinstance(s, Symbol) else str(s) for s in shape)
