"""Which arguments of a command belong to which net, if it takes several nets."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import converters
from zoo.catalog.catalog import Catalog
from zoo.errors import UsageError
from zoo.files import require_file
from zoo.store.cache import Cache
from zoo.store.subject import Subject, find_subject, net_in_folder

Part = Literal["definition", "weights", "whole net"]
WHOLE_NETS = (converters.Kind.TORCH7, converters.Kind.ONNX)


def find_subjects(
    arguments: Sequence[str | os.PathLike[str]], catalog: Catalog, cache: Cache
) -> list[Subject]:
    """The nets that the arguments name, in their order; see `split_into_nets`.

    Raises:
        UsageError: as `find_subject`, a definition belongs to no weights, or two nets have the same name.
        converters.ConverterError: a file is of no known kind.
    """
    subjects = [find_subject(names, catalog, cache) for names in split_into_nets(arguments, catalog)]
    require_different_names(subjects)
    return subjects


def require_different_names(subjects: Sequence[Subject]) -> None:
    """UsageError if two nets have the same name, which is where their evidence goes by."""
    seen: dict[str, Subject] = {}
    for subject in subjects:
        if subject.name in seen:
            files = " and ".join(str(other.sources[-1]) for other in (seen[subject.name], subject))
            raise UsageError(
                f"two nets are called {subject.name}: {files}\n"
                "  evidence is kept by name: name each net once, or rename the file of one"
            )
        seen[subject.name] = subject


def split_into_nets(
    arguments: Sequence[str | os.PathLike[str]], catalog: Catalog
) -> list[list[str | os.PathLike[str]]]:
    """The arguments of each net.

    A name in the catalog, a .t7, an .onnx and a .py are a net each. A Caffe definition belongs to all weights
    files after it, up to the next definition; weights before the first definition contain their own. A
    definition and one weights file alone are a net in any order.

    Raises:
        UsageError: no such model or file, or a definition has no weights after it.
        converters.ConverterError: a file is of no known kind.
    """
    if len(arguments) == 1:
        return [list(arguments)]
    parts = [_part(argument, catalog) for argument in arguments]
    if "whole net" not in parts and parts.count("weights") <= 1:
        return [list(arguments)]
    nets: list[list[str | os.PathLike[str]]] = []
    definition: str | os.PathLike[str] | None = None
    unused = False
    for argument, part in zip(arguments, parts, strict=True):
        if part == "definition":
            _check_used(definition if unused else None)
            definition, unused = argument, True
        elif part == "weights":
            nets.append([argument] if definition is None else [definition, argument])
            unused = False
        else:
            nets.append([argument])
    _check_used(definition if unused else None)
    return nets


def _part(argument: str | os.PathLike[str], catalog: Catalog) -> Part:
    path = Path(argument)
    if isinstance(argument, str):
        if argument in catalog:
            return "whole net"
        if path.name == argument and not path.suffix and not path.exists():
            catalog.get(argument)  # raises, with suggestions
    if net_in_folder(path) is not None:
        return "whole net"
    require_file(path)
    if path.suffix == ".py":
        return "whole net"
    kind = converters.identify(path)
    if kind is converters.Kind.PROTOTXT:
        return "definition"
    return "whole net" if kind in WHOLE_NETS else "weights"


def _check_used(definition: str | os.PathLike[str] | None) -> None:
    if definition is not None:
        raise UsageError(
            f"{definition}: no weights follow this definition\n"
            "  with several nets, name each definition before the weights that belong to it"
        )
