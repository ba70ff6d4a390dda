"""From what a user names, a model or files, to the files of a net; and options that describe its inputs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from zoo.cli._common import load_catalog
from zoo.errors import UsageError

InputShapeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--input-shape",
        metavar="NAME=2,3,32,32",
        help="Shape of an input, taken as given; may be repeated.",
    ),
]


def source_files(names: Sequence[str], manifests: Sequence[Path] | None = None) -> list[Path]:
    """The files of the net that `names` mean: one model of the catalog, or the files themselves.

    UsageError if a name is neither, with the closest models, or if the model is not in the cache.
    """
    catalog = load_catalog(manifests)
    if len(names) == 1 and not Path(names[0]).is_file() and "/" not in names[0] and not Path(names[0]).suffix:
        from zoo.cache import Cache

        manifest, store = catalog.get(names[0]), Cache()
        return [store.require(manifest, file.role) for file in manifest.source_files()]
    for name in names:
        if not Path(name).is_file():
            hint = "; give a model alone" if name in catalog else ""
            raise UsageError(f"{name}: no such file{hint}")
    return [Path(name) for name in names]


def input_shapes(options: Sequence[str] | None) -> dict[str, tuple[int, ...]] | None:
    """`["data=2,3,32,32"]` as `{"data": (2, 3, 32, 32)}`; None if none is given."""
    shapes = {}
    for option in options or ():
        name, equals, sizes = option.rpartition("=")
        try:
            shapes[name] = tuple(int(size) for size in sizes.split(","))
        except ValueError:
            equals = ""
        if not name or not equals or min(shapes[name]) < 1:
            raise UsageError(f"--input-shape {option}: expected NAME=SIZE,SIZE,... such as data=1,3,224,224")
    return shapes or None
