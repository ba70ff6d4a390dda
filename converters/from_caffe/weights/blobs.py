"""What every kind of weights file comes down to: stored layers with parameter blobs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np


@dataclass(frozen=True)
class Blob:
    """A stored parameter blob. `shape` is None where the file gives only the legacy four sizes."""

    values: np.ndarray
    shape: tuple[int, ...] | None
    legacy_shape: tuple[int, int, int, int] | None = None

    def fits(self, shape: Sequence[int]) -> bool:
        """Caffe's Blob::ShapeEquals: legacy sizes match any shape that they extend with leading ones."""
        if self.shape is not None:
            return self.shape == tuple(shape)
        assert self.legacy_shape is not None
        return len(shape) <= 4 and self.legacy_shape == (1,) * (4 - len(shape)) + tuple(shape)

    @property
    def stated_shape(self) -> tuple[int, ...]:
        """The shape as the file gives it."""
        shape = self.shape if self.shape is not None else self.legacy_shape
        assert shape is not None
        return shape


@dataclass(frozen=True)
class StoredLayer:
    """A layer of a weights file that holds blobs; `position` is its place in the file.

    A blob is None where the file keeps it with another layer that shares it (HDF5).
    """

    name: str
    type: str
    blobs: Sequence[Blob | None]
    position: int

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """The shapes of its blobs as the file gives them, () for one that is kept elsewhere."""
        return [blob.stated_shape if blob is not None else () for blob in self.blobs]


class Weights(Protocol):
    """Where `bind` gets parameters from."""

    path: Path
    # uint8 arrays over the mapped files, for links into them
    maps: dict[str, np.ndarray]

    def stored(self, layer: str, shapes: Sequence[tuple[int, ...]] | None) -> StoredLayer | None:
        """The blobs stored under this layer name; where a name is stored twice, the last.

        `shapes`, where known, are the shapes the net needs: a format without shapes of its own goes by them.
        """

    def layers(self) -> Sequence[StoredLayer]:
        """Every stored layer that has blobs, in file order."""
