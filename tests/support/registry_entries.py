"""Registering something for one test only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from converters import Registry


@contextmanager
def only_these_entries(registry: Registry[Any], *names: str) -> Iterator[None]:
    """Hides all other entries inside the block, so that an exact list stays true when one is added."""
    with entries_restored(registry):
        for name in registry.keys() - set(names):
            del registry._entries[name]
        yield


@contextmanager
def entries_restored(registry: Registry[Any]) -> Iterator[None]:
    """Removes at the end what was registered inside the block."""
    before = dict(registry)
    try:
        yield
    finally:
        registry._entries.clear()
        registry._entries.update(before)
