"""Finding things in a .t7 file: the network in a checkpoint, tensors, plain data.

A thing is named by its path: the keys of tables and the fields of objects that lead to it, joined by dots,
as in `model.modules.3.weight`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from converters.errors import LimitError, UnsupportedError, UsageError
from converters.from_torch7.module import MAX_EXPANDED_ELEMENTS, Module, describe
from converters.from_torch7.objects import Storage, Table, Tensor, TorchObject
from converters.graph_bounds import MAX_CREATED_BYTES, MOST_EXPANSION

# The most things that a message lists.
_LISTED = 10
# The most characters of a path that are shown.
SHOWN_CHARACTERS = 200
# The most characters that the paths of all tensors of a file may take: a million tensors with short paths.
MAX_PATH_CHARACTERS = 16_000_000

IsModule = Callable[[TorchObject], bool]


def select_network(value: object, select: str | None, is_module: IsModule) -> tuple[Module, str]:
    """The network in a file and its path: the only one, or the one at the path `select`.

    is_module: whether an object is a module. UnsupportedError if the file holds no network, UsageError if it
    holds several and none is selected, or if there is nothing at `select`.
    """
    found = networks(value, is_module)
    if select is not None:
        named = (item for path, item in found if select.endswith(path.key) and str(path) == select)
        item = next(named, None) or at(value, select)
        if not isinstance(item, TorchObject) or not is_module(item):
            raise UsageError(f"at {select!r} is no network, but {describe(item)}")
        return Module(item), select
    if not found:
        raise UnsupportedError(f"this is data, not a network: {_summary(value)}")
    if len(found) > 1:
        listed = [f"{path.shortened} ({item.class_name})" for path, item in found[: _LISTED + 1]]
        raise UsageError(
            f"the file holds {len(found)} networks: {_listed(listed, len(found))}; "
            f"choose one, such as --select {found[0][0].shortened}"
        )
    path, item = found[0]
    return Module(item), str(path)


def networks(value: object, is_module: IsModule) -> list[tuple[ObjectPath, TorchObject]]:
    """The outermost networks with their paths; one that occurs several times counts under its first path.

    Criterions, which checkpoints hold too, are not networks.
    """

    def is_no_module(item: TorchObject) -> bool:
        return not is_module(item)

    return [
        (path, item)
        for path, item in walk(value, into=is_no_module)
        if isinstance(item, TorchObject) and is_module(item) and not item.class_name.endswith("Criterion")
    ]


@dataclass(frozen=True)
class ObjectPath:
    """The path to an object, linked from key to key because nesting can be deep; `str` joins it.

    length: the number of characters of the joined path. A path takes them only when it is joined.
    """

    key: str = ""
    parent: ObjectPath | None = None
    length: int = 0

    def inside(self, key: str) -> ObjectPath:
        """The path to what lies under this key."""
        return ObjectPath(key, self, self.length + len(key) + (self.length > 0))

    def __str__(self) -> str:
        return self._joined(self.length)

    @property
    def shortened(self) -> str:
        """The path for people: the end of a long one, after dots."""
        if self.length <= SHOWN_CHARACTERS:
            return str(self)
        return f"...{self._joined(SHOWN_CHARACTERS)[-SHOWN_CHARACTERS:]}"

    def _joined(self, characters: int) -> str:
        """The last steps of the path, so many that they have this many characters."""
        steps: list[str] = []
        path: ObjectPath | None = self
        while path is not None and path.parent is not None and characters >= 0:
            steps.append(path.key)
            characters -= len(path.key) + 1
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
            stack += reversed([(path.inside(str(key)), part) for key, part in _named_entries(item)])


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

    A tensor that occurs several times comes once, under its first path. LimitError for a tensor that is
    expanded to more than `MAX_EXPANDED_ELEMENTS`, and where tensors or paths would take far more room than
    in the file.
    """
    found = {}
    storages: set[int] = set()
    stored = shown = characters = 0
    for object_path, item in walk(value):
        if not isinstance(item, Tensor) or not item.array.size:
            continue
        where = object_path.shortened or "tensor"
        if item.is_expanded and item.array.size > MAX_EXPANDED_ELEMENTS:
            raise LimitError(
                f"{where}: {describe(item)} expanded from a smaller one; "
                f"at most {MAX_EXPANDED_ELEMENTS:,} elements are written out"
            )
        if item.storage is not None and id(item.storage) not in storages:
            storages.add(id(item.storage))
            stored += item.storage.array.nbytes
        shown += item.array.nbytes
        if shown > MAX_CREATED_BYTES + MOST_EXPANSION * stored:
            raise LimitError(
                f"{where}: up to here, tensors show their storages so many times that {shown:,} bytes would "
                "be written"
            )
        characters += object_path.length
        if characters > MAX_PATH_CHARACTERS:
            raise LimitError(
                f"{where}: up to here, the paths of the tensors take more than {MAX_PATH_CHARACTERS:,} "
                "characters: tables are nested deeper than in any real file"
            )
        found[str(object_path) or "tensor"] = item.array
    return found


def _summary(value: object) -> str:
    """The contents of a data file in one line; the .t7 files that it names may be the wanted ones."""
    if not isinstance(value, Table):
        return describe(value)
    first = itertools.islice(_named_entries(value), _LISTED + 1)
    keys = _listed([str(key) for key, _ in first], sum(1 for _ in _named_entries(value)))
    names = [part for _, part in _named_entries(value) if isinstance(part, str) and part.endswith(".t7")]
    hint = f"; it names {_listed(names)}" if names else ""
    return f"{describe(value)} ({keys}){hint}"


def _listed(names: list[str], count: int | None = None) -> str:
    """The first names as text. count: of how many they are the first, if not all of them."""
    count = len(names) if count is None else count
    more = f" and {count - _LISTED} more" if count > _LISTED else ""
    return (", ".join(name[:60] for name in names[:_LISTED]) or "nothing") + more
