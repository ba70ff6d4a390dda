"""Finding things in a .t7 file: the network in a checkpoint, tensors, plain data.

A thing is named by its path: the keys of tables and the fields of objects that lead to it, joined by dots,
as in `model.modules.3.weight`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from converters.errors import UnsupportedError, UsageError
from converters.from_torch7.module import MAX_EXPANDED_ELEMENTS, Module, describe
from converters.from_torch7.objects import Storage, Table, Tensor, TorchObject

# The most things that a message lists.
_LISTED = 10

IsModule = Callable[[TorchObject], bool]


def select_network(value: object, select: str | None, is_module: IsModule) -> tuple[Module, str]:
    """The network in a file and its path: the only one, or the one at the path `select`.

    is_module: whether an object is a module. UnsupportedError if the file holds no network, UsageError if it
    holds several and none is selected, or if there is nothing at `select`.
    """
    found = networks(value, is_module)
    if select is not None:
        item = found.get(select) or at(value, select)
        if not isinstance(item, TorchObject) or not is_module(item):
            raise UsageError(f"at {select!r} is no network, but {describe(item)}")
        return Module(item), select
    if not found:
        raise UnsupportedError(f"this is data, not a network: {_summary(value)}")
    if len(found) > 1:
        listed = [f"{path} ({item.class_name})" for path, item in found.items()]
        raise UsageError(
            f"the file holds {len(found)} networks: {_listed(listed)}; "
            f"choose one, such as --select {next(iter(found))}"
        )
    path, item = next(iter(found.items()))
    return Module(item), path


def networks(value: object, is_module: IsModule) -> dict[str, TorchObject]:
    """The outermost networks by path; a network that occurs several times counts under its first path.

    Criterions, which checkpoints hold too, are not networks.
    """

    def is_no_module(item: TorchObject) -> bool:
        return not is_module(item)

    return {
        str(path): item
        for path, item in walk(value, into=is_no_module)
        if isinstance(item, TorchObject) and is_module(item) and not item.class_name.endswith("Criterion")
    }


@dataclass(frozen=True)
class ObjectPath:
    """The path to an object, linked from key to key because nesting can be deep; `str` joins it."""

    key: str = ""
    parent: ObjectPath | None = None

    def __str__(self) -> str:
        steps = []
        path: ObjectPath | None = self
        while path is not None and path.parent is not None:
            steps.append(path.key)
            path = path.parent
        return ".".join(reversed(steps))


def walk(value: object, into: IsModule = lambda item: True) -> Iterator[tuple[ObjectPath, Any]]:
    """Everything with its path, outermost first; what occurs several times comes once.

    into: whether to look inside an object.
    """
    stack: list[tuple[ObjectPath, Any]] = [(ObjectPath(), value)]
    seen: set[int] = set()
    while stack:
        path, item = stack.pop()
        if isinstance(item, Table | TorchObject | Tensor | Storage):
            if id(item) in seen:
                continue
            seen.add(id(item))
        yield path, item
        if isinstance(item, Table) or (isinstance(item, TorchObject) and into(item)):
            stack += reversed([(ObjectPath(str(key), path), part) for key, part in _named_entries(item)])


def _named_entries(item: Table | TorchObject) -> Iterator[tuple[str | float, Any]]:
    """The entries whose key can be part of a path."""
    for key, value in (item if isinstance(item, Table) else item.fields).items():
        if isinstance(key, str | int | float) and not isinstance(key, bool):
            yield key, value


def at(value: object, path: str) -> object:
    """What lies at a path; a UsageError says where the path ends."""
    item, done = value, ""
    for step in path.split("."):
        entries = _named_entries(item) if isinstance(item, Table | TorchObject) else []
        inside = {str(key): part for key, part in entries}
        if step not in inside:
            where = f"under {done!r}" if done else "at the top"
            raise UsageError(
                f"--select {path}: there is no {step!r} {where}; there is {_listed(list(inside))}"
            )
        item, done = inside[step], f"{done}.{step}" if done else step
    return item


def tensors(value: object) -> dict[str, np.ndarray]:
    """Every tensor that is not empty, by path, as a view of the file; a bare tensor is called `tensor`.

    A tensor that occurs several times comes once, under its first path. UnsupportedError for a tensor that is
    expanded to more than `MAX_EXPANDED_ELEMENTS`.
    """
    found = {}
    for object_path, item in walk(value):
        if not isinstance(item, Tensor) or not item.array.size:
            continue
        path = str(object_path) or "tensor"
        if 0 in item.array.strides and item.array.size > MAX_EXPANDED_ELEMENTS:
            raise UnsupportedError(
                f"{path}: {describe(item)} expanded from a smaller one; "
                f"at most {MAX_EXPANDED_ELEMENTS:,} elements are written out"
            )
        found[path] = item.array
    return found


def _summary(value: object) -> str:
    """The contents of a data file in one line; the .t7 files that it names may be the wanted ones."""
    if not isinstance(value, Table):
        return describe(value)
    keys = _listed([str(key) for key, _ in _named_entries(value)])
    names = [part for _, part in _named_entries(value) if isinstance(part, str) and part.endswith(".t7")]
    hint = f"; it names {_listed(names)}" if names else ""
    return f"{describe(value)} ({keys}){hint}"


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return (", ".join(name[:60] for name in names[:_LISTED]) or "nothing") + more
