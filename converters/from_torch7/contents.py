"""What a .t7 file holds beside one network: checkpoints with a network inside, tensors, plain data.

Things are named by their path: the keys of tables and the fields of objects that lead to them, joined by
dots, as in `model.modules.3.weight`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from converters.errors import UnsupportedError, UsageError
from converters.from_torch7.module import MAX_EXPANDED_ELEMENTS, Module, describe
from converters.from_torch7.objects import Storage, Table, Tensor, TorchObject

# Longest list of things in a message.
_LISTED = 10

IsModule = Callable[[TorchObject], bool]


def network(value: object, select: str | None, is_module: IsModule) -> tuple[Module, str]:
    """The network in a file and its path there: the only one, or the one selected.

    is_module: whether an object is one. UnsupportedError if there is none, UsageError if there are
    several and none is selected, or nothing is where `select` says.
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
    """The outermost networks, by path; one that is there several times under its first path.

    Criterions, which checkpoints hold too, are none.
    """

    def outside(item: TorchObject) -> bool:
        return not is_module(item)

    return {
        str(place): item
        for place, item in walk(value, into=outside)
        if isinstance(item, TorchObject) and is_module(item) and not item.class_name.endswith("Criterion")
    }


@dataclass(frozen=True)
class Place:
    """Where something lies; `str` gives the path. Made without joining, as nesting can be deep."""

    key: str = ""
    outside: Place | None = None

    def __str__(self) -> str:
        steps = []
        place: Place | None = self
        while place is not None and place.outside is not None:
            steps.append(place.key)
            place = place.outside
        return ".".join(reversed(steps))


def walk(value: object, into: IsModule = lambda item: True) -> Iterator[tuple[Place, Any]]:
    """Everything with its place, outside in; what is there several times only once.

    into: which objects to enter.
    """
    stack: list[tuple[Place, Any]] = [(Place(), value)]
    seen: set[int] = set()
    while stack:
        place, item = stack.pop()
        if isinstance(item, Table | TorchObject | Tensor | Storage):
            if id(item) in seen:
                continue
            seen.add(id(item))
        yield place, item
        if isinstance(item, Table) or (isinstance(item, TorchObject) and into(item)):
            stack += reversed([(Place(str(key), place), part) for key, part in _named(item)])


def _named(item: Table | TorchObject) -> Iterator[tuple[str | float, Any]]:
    """Entries whose key can be part of a path."""
    for key, value in (item if isinstance(item, Table) else item.fields).items():
        if isinstance(key, str | int | float) and not isinstance(key, bool):
            yield key, value


def at(value: object, path: str) -> object:
    """What lies at a path; UsageError saying how far it leads."""
    item, done = value, ""
    for step in path.split("."):
        entries = _named(item) if isinstance(item, Table | TorchObject) else []
        inside = {str(key): part for key, part in entries}
        if step not in inside:
            where = f"under {done!r}" if done else "at the top"
            raise UsageError(
                f"--select {path}: there is no {step!r} {where}; there is {_listed(list(inside))}"
            )
        item, done = inside[step], f"{done}.{step}" if done else step
    return item


def tensors(value: object) -> dict[str, np.ndarray]:
    """Every tensor that is not empty by path, as views of the file; a bare tensor is called `tensor`.

    A tensor that is there several times comes under its first path. UnsupportedError for one that is
    expanded beyond measure.
    """
    found = {}
    for place, item in walk(value):
        if not isinstance(item, Tensor) or not item.array.size:
            continue
        path = str(place) or "tensor"
        if 0 in item.array.strides and item.array.size > MAX_EXPANDED_ELEMENTS:
            raise UnsupportedError(
                f"{path}: {describe(item)} expanded from a smaller one; "
                f"at most {MAX_EXPANDED_ELEMENTS:,} elements are written out"
            )
        found[path] = item.array
    return found


def _summary(value: object) -> str:
    """What a file of data holds, in a line; files that it names may be what was meant."""
    if not isinstance(value, Table):
        return describe(value)
    keys = _listed([str(key) for key, _ in _named(value)])
    names = [part for _, part in _named(value) if isinstance(part, str) and part.endswith(".t7")]
    hint = f"; it names {_listed(names)}" if names else ""
    return f"{describe(value)} ({keys}){hint}"


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return (", ".join(name[:60] for name in names[:_LISTED]) or "nothing") + more
