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
        help="Shape of an input, taken as given; may be repeated.",
    ),
]


def input_shapes(options: Sequence[str] | None) -> dict[str, tuple[int, ...]] | None:
    """`["data=2,3,32,32"]` as `{"data": (2, 3, 32, 32)}`; None if none is given."""
    return dict(map(_input_shape, options)) if options else None


def _input_shape(option: str) -> tuple[str, tuple[int, ...]]:
    name, _, sizes = option.rpartition("=")
    try:
        shape = tuple(int(size) for size in sizes.split(","))
    except ValueError:
        shape = ()
    if not name or not shape or min(shape) < 1:
        raise UsageError(f"--input-shape {option}: expected NAME=SIZE,SIZE,... such as data=1,3,224,224")
    return name, shape
