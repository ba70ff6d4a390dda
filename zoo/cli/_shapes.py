"""The option that gives the shapes of a net's inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from zoo.errors import UsageError

InputShapeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--input-shape",
        metavar="NAME=2,3,32,32",
        help="Shape of an input, taken as given; N and other names leave a size open. May be repeated.",
    ),
]


def input_shapes(options: Sequence[str] | None) -> dict[str, tuple[int | str, ...]] | None:
    """`["data=N,3,32,32"]` as `{"data": ("N", 3, 32, 32)}`; None if none is given."""
    return dict(map(_input_shape, options)) if options else None


def fixed_input_shapes(options: Sequence[str] | None) -> dict[str, tuple[int, ...]] | None:
    """The same for a command that runs the net: every size is a number."""
    given = input_shapes(options)
    if given is None:
        return None
    fixed = {name: tuple(size for size in shape if isinstance(size, int)) for name, shape in given.items()}
    for name, shape in given.items():
        if fixed[name] != shape:
            raise UsageError(f"--input-shape {name}: the net is run, so every size must be a number")
    return fixed


def _input_shape(option: str) -> tuple[str, tuple[int | str, ...]]:
    name, _, sizes = (part.strip() for part in option.rpartition("="))
    shape = tuple(int(size) if size.isdecimal() else size for size in map(str.strip, sizes.split(",")))
    if not name or any(size == 0 or (isinstance(size, str) and not size.isidentifier()) for size in shape):
        raise UsageError(f"--input-shape {option}: expected NAME=SIZE,SIZE,... such as data=N,3,224,224")
    return name, shape
