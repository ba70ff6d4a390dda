"""Caffe's HDF5 weights: datasets /data/<layer name>/<blob index>; a shared parameter is stored once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np

from converters.errors import FormatError
from converters.from_caffe.weights.blobs import Blob, StoredLayer
from converters.source_files import SourceFile

# Trained weights hardly compress: a dataset may claim at most this many times the size of the file.
MOST_COMPRESSION = 64
# In every Caffe, a layer has only a few parameter blobs.
MOST_BLOBS = 1000


class Hdf5Weights:
    """The blobs of a .caffemodel.h5."""

    def __init__(self, path: Path, layers: list[StoredLayer]) -> None:
        self.path = path
        self.files: list[SourceFile] = []
        self._layers = layers

    @classmethod
    def open(cls, path: Path) -> Hdf5Weights:
        """Read every blob. FormatError for a file that does not have Caffe's layout."""
        try:
            with h5py.File(path, "r") as file:
                data = file.get("data")
                if not isinstance(data, h5py.Group):
                    raise FormatError(f"{path}: no group /data, where Caffe keeps a net's weights")
                named = [
                    (name, group)
                    for name, group in data.items()
                    if isinstance(group, h5py.Group) and len(group)
                ]
                layers = [_layer(path, name, group, k) for k, (name, group) in enumerate(named)]
        except OSError as error:
            raise FormatError(f"{path}: not a readable HDF5 file: {error}") from error
        return cls(path, layers)

    def layers(self) -> Sequence[StoredLayer]:
        """See Weights."""
        return self._layers

    def parameter_fields(self, layer_type: str) -> frozenset[int]:
        """See Weights."""
        return frozenset()

    def stored(self, layer: str, shapes: Sequence[tuple[int, ...]] | None) -> StoredLayer | None:
        """See Weights."""
        found = next((stored for stored in self._layers if stored.name == layer), None)
        if found is None or shapes is None:
            return found
        return replace(found, blobs=[*found.blobs, *[None] * (len(shapes) - len(found.blobs))])


def _layer(path: Path, name: str, group: h5py.Group, position: int) -> StoredLayer:
    indices = [int(key) for key in group if key.isascii() and key.isdigit() and int(key) < MOST_BLOBS]
    if len(indices) != len(group):
        raise FormatError(f"{path}: /data/{name} holds {', '.join(group)}; expected blobs by number")
    blobs: list[Blob | None] = [None] * (max(indices) + 1)
    for index in indices:
        dataset = group[str(index)]
        if not isinstance(dataset, h5py.Dataset) or dataset.dtype.kind != "f":
            raise FormatError(f"{path}: /data/{name}/{index} holds no floats")
        if dataset.nbytes > MOST_COMPRESSION * path.stat().st_size:
            raise FormatError(
                f"{path}: /data/{name}/{index} claims {dataset.nbytes:,} bytes, far more than the file holds"
            )
        values = np.asarray(dataset)
        blobs[index] = Blob(values.reshape(-1), values.shape)
    return StoredLayer(name, "", blobs, position)
