"""Named entries of one kind: Caffe layers, Torch7 classes, ONNX operators, flavours, runtimes, commands.

Everything that can be added to this project by name is an entry of a `Registry`: a second entry of the same
name is an error at import, not a silent replacement.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Generic, TypeVar

Entry = TypeVar("Entry")


class Registry(Mapping[str, Entry], Generic[Entry]):
    """Entries by name, in the order they were added. `kind` is their name in errors, such as "layer type"."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, Entry] = {}

    def add(self, name: str, entry: Entry) -> None:
        """Adds an entry. ValueError if another has the same name."""
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
    """Imports the modules directly inside a package, without its subpackages, in the order of their names.

    So a new file of entries needs no further registration.
    """
    for name in sorted(info.name for info in pkgutil.iter_modules(package.__path__) if not info.ispkg):
        yield importlib.import_module(f"{package.__name__}.{name}")
