"""Metadata that becomes known while the weights are written, such as hashes of the files they come from.

Whoever knows the metadata later makes a `promise`; every writer calls `complete` after the weights and before
the metadata.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx_ir as ir

# The key of a model's `meta`, which its copies share.
_KEY = "pending_metadata"


class _Promise:
    def __init__(self, entries: Callable[[], Mapping[str, str]]) -> None:
        self._compute = entries

    @cached_property
    def entries(self) -> dict[str, str]:
        """Computed once, however many copies of the model are written."""
        return dict(self._compute())


def promise(model: ir.Model, entries: Callable[[], Mapping[str, str]]) -> None:
    """`entries` gives the metadata that the model does not have yet. It is called once, and may wait."""
    model.meta[_KEY] = _Promise(entries)


def complete(model: ir.Model) -> None:
    """Adds what was promised to the metadata of the model. Raises what computing it raises."""
    promised: _Promise | None = model.meta.get(_KEY)
    if promised is not None:
        model.metadata_props.update(promised.entries)
