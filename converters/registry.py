"""Named entries of one kind: Caffe layers, Torch7 classes, ONNX operators, flavours, runtimes, commands.

Everything that can be added to this project is an entry of a `Registry`, so a second entry of the same name
is an error on import instead of a silent replacement.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Generic, TypeVar

Entry = TypeVar("Entry")


class Registry(Mapping[str, Entry], Generic[Entry]):
    """Entries by name, in the order they were added. `kind` says what they are, for errors: "layer type"."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, Entry] = {}

    def add(self, name: str, entry: Entry) -> None:
        """Add an entry. ValueError if its name is taken: one of the two would never be found."""
        if name in self._entries:
            raise ValueError(f"two entries of the kind '{self.kind}' are named {name!r}; rename one of them")
        self._entries[name] = entry

    def __getitem__(self, name: str) -> Entry:
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


def modules_in(package: ModuleType) -> Iterator[ModuleType]:
    """The modules directly inside a package, sorted by name and imported.

    A new file with entries is found by lying there; no list names it.
    """
    for name in sorted(info.name for info in pkgutil.iter_modules(package.__path__) if not info.ispkg):
        yield importlib.import_module(f"{package.__name__}.{name}")
