"""What every kind of weights file is read into: stored layers with their parameter blobs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from converters.source_files import SourceFile


@dataclass(frozen=True)
class Blob:
    """A stored parameter blob.

    values: one axis, of any float type. shape: None where the file gives only the four legacy sizes.
    """

    values: np.ndarray
    shape: tuple[int, ...] | None
    legacy_shape: tuple[int, int, int, int] | None = None

    def fits(self, shape: Sequence[int]) -> bool:
        """Caffe's Blob::ShapeEquals: legacy sizes match every shape that leading ones extend to them."""
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

    A blob is None where the file stores it with another layer that shares it (HDF5).
    """

    name: str
    type: str
    blobs: Sequence[Blob | None]
    position: int

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """The shapes of its blobs as the file gives them, () for one that is stored with another layer."""
        return [blob.stated_shape if blob is not None else () for blob in self.blobs]


class Weights(Protocol):
    """A weights file, from which `bind` takes the parameters.

    are_placeholders: whether the blobs only stand for what a layer asks for, and hold no weights.
    files: the open files of which blobs are views, for links into them.
    """

    path: Path
    files: list[SourceFile]

    @property
    def are_placeholders(self) -> bool:
        """See above."""

    def stored(self, layer: str, shapes: Sequence[tuple[int, ...]] | None) -> StoredLayer | None:
        """The blobs stored under this layer name, or None; of two layers with this name, those of the last.

        `shapes` are the shapes that the net needs, or None where they are not known. A file that stores no
        shapes (Deep Compression) is read by them.
        """

    def layers(self) -> Sequence[StoredLayer]:
        """Every stored layer that has blobs, in file order."""

    def parameter_fields(self, layer_type: str) -> frozenset[int]:
        """The field numbers at which the file stores parameter messages of layers of this type.

        Forks use different numbers, so they tell which fork wrote the file. Empty where no such message is
        stored; a format other than a caffemodel of the current form stores none.
        """
