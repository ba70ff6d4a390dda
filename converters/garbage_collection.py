"""Fewer searches for cyclic garbage while large graphs are built, of which nothing becomes garbage."""

from __future__ import annotations

import contextlib
import gc
import threading
from collections.abc import Iterator

# How many more objects there must be before Python searches. Its own 700 cost a fifth of a long conversion.
_OBJECTS = 100_000
_LOCK = threading.Lock()
_INSIDE: list[tuple[int, int, int]] = []


@contextlib.contextmanager
def rare_collections() -> Iterator[None]:
    """Python searches rarely for garbage inside; then as before. Several threads may be inside."""
    with _LOCK:
        before = gc.get_threshold()
        _INSIDE.append(_INSIDE[0] if _INSIDE else before)
        if 0 < before[0] < _OBJECTS:  # 0: somebody has switched it off
            gc.set_threshold(_OBJECTS, *before[1:])
    try:
        yield
    finally:
        with _LOCK:
            before = _INSIDE.pop()
            if not _INSIDE:
                gc.set_threshold(*before)
