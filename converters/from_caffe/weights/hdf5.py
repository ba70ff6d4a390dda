"""Caffe's HDF5 weights: datasets /data/<layer name>/<blob index>; a shared parameter is stored once.

The values must lie in the file itself. HDF5 can also lead to other files and places (links, virtual datasets,
raw storage outside): Caffe writes none of these, and each is refused by name before it is followed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np

from converters.errors import ConverterError, FormatError
from converters.from_caffe.limits import blob_problem
from converters.from_caffe.weights.blobs import Blob, StoredLayer
from converters.source_files import SourceFile

# Trained weights hardly compress: all datasets together may claim this many times the size of the file.
MOST_COMPRESSION = 64
# In every Caffe, a layer has only a few parameter blobs.
MOST_BLOBS = 1000
# Caffe writes float and double; half is NVCaffe's.
_ITEM_SIZES = (2, 4, 8)
_ELSEWHERE = "the weights must lie in the file itself; write them there"


class Hdf5Weights:
    """The blobs of a .caffemodel.h5."""

    def __init__(self, path: Path, layers: list[StoredLayer]) -> None:
        self.path = path
        self.are_placeholders = False
        self.files: list[SourceFile] = []
        self._layers = layers
        self._by_name = {stored.name: stored for stored in reversed(layers)}

    @classmethod
    def open(cls, path: Path) -> Hdf5Weights:
        """Read every blob. FormatError for a file that does not have Caffe's layout, or is damaged."""
        try:
            with h5py.File(path, "r") as file:
                return cls(path, _Reader(path).layers(file))
        except ConverterError:
            raise
        except Exception as error:  # h5py raises many types, also internal ones, for a damaged file
            raise FormatError(f"{path}: not a readable HDF5 file: {error}") from error

    def layers(self) -> Sequence[StoredLayer]:
        """See Weights."""
        return self._layers

    def parameter_fields(self, layer_type: str) -> frozenset[int]:
        """See Weights."""
        return frozenset()

    def stored(self, layer: str, shapes: Sequence[tuple[int, ...]] | None) -> StoredLayer | None:
        """See Weights."""
        found = self._by_name.get(layer)
        if found is None or shapes is None:
            return found
        return replace(found, blobs=[*found.blobs, *[None] * (len(shapes) - len(found.blobs))])


class _Reader:
    """Reads the layers of one file, which may claim a limited number of bytes in total."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._bytes_left = self._limit = MOST_COMPRESSION * path.stat().st_size

    def layers(self, file: h5py.File) -> list[StoredLayer]:
        """The groups in /data that hold something, in the order of their names."""
        data = self._member(file, "", "data") if "data" in file else None
        if not isinstance(data, h5py.Group):
            raise FormatError(f"{self._path}: no group /data, where Caffe keeps a net's weights")
        groups = ((name, self._member(data, "/data", name)) for name in data)
        named = ((name, item) for name, item in groups if isinstance(item, h5py.Group) and len(item))
        return [self._layer(name, group, position) for position, (name, group) in enumerate(named)]

    def _layer(self, name: str, group: h5py.Group, position: int) -> StoredLayer:
        keys = list(group)
        indices = [int(key) for key in keys if key.isascii() and key.isdigit() and len(key) < 6]
        if len(indices) != len(keys) or max(indices) >= MOST_BLOBS:
            raise FormatError(
                f"{self._path}: /data/{name} holds {', '.join(keys[:3])}; expected blobs by number"
            )
        blobs: list[Blob | None] = [None] * (max(indices) + 1)
        for key, index in zip(keys, indices, strict=True):
            values = self._values(self._member(group, f"/data/{name}", key), f"/data/{name}/{key}")
            blobs[index] = Blob(values.reshape(-1), values.shape)
        return StoredLayer(name, "", blobs, position)

    def _member(self, group: h5py.Group, place: str, name: str) -> object:
        """What a group holds under a name; FormatError for a link to another place or file."""
        link = group.get(name, getlink=True)
        if isinstance(link, h5py.ExternalLink):
            raise self._elsewhere(f"{place}/{name} is a link to the file {link.filename!r}")
        if isinstance(link, h5py.SoftLink):
            raise self._elsewhere(f"{place}/{name} is a link to {link.path!r}")
        return group[name]

    def _values(self, dataset: object, place: str) -> np.ndarray:
        """The values of a dataset, after a check of everything that it claims."""
        if not isinstance(dataset, h5py.Dataset) or dataset.dtype.kind != "f" or dataset.shape is None:
            raise FormatError(f"{self._path}: {place} holds no floats")
        if dataset.dtype.itemsize not in _ITEM_SIZES:
            raise FormatError(f"{self._path}: {place} holds floats of {dataset.dtype.itemsize} bytes")
        if dataset.is_virtual:
            raise self._elsewhere(f"{place} is a virtual dataset, with values from other datasets or files")
        if dataset.external:
            raise self._elsewhere(f"{place} keeps its values in another file, {dataset.external[0][0]!r}")
        self._bytes_left -= max(_claimed_bytes(dataset))
        if self._bytes_left < 0:
            raise FormatError(
                f"{self._path}: {place} claims {dataset.nbytes:,} bytes, far more than the file holds; all "
                f"blobs together may claim {self._limit:,}, {MOST_COMPRESSION} times the size of the file"
            )
        if (problem := blob_problem(dataset.shape)) is not None:
            raise FormatError(f"{self._path}: {place} claims the shape {dataset.shape}; {problem}: damaged")
        return np.asarray(dataset)

    def _elsewhere(self, what: str) -> FormatError:
        return FormatError(f"{self._path}: {what}: {_ELSEWHERE}")


def _claimed_bytes(dataset: h5py.Dataset) -> Iterator[int]:
    """The bytes of all values, and those of a chunk, of which one at least is read as a whole."""
    yield dataset.nbytes
    if dataset.chunks is not None:
        yield math.prod(dataset.chunks) * dataset.dtype.itemsize
