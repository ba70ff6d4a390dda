"""Weights files -> the parameter blobs of each layer: .caffemodel, HDF5 and Deep Compression."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from converters.from_caffe import schema
from converters.from_caffe.weights.blobs import Blob, StoredLayer, Weights
from converters.from_caffe.weights.caffemodel import CaffeModel
from converters.kept_sources import KeptSources
from converters.sniff import Kind, identify

__all__ = ["Blob", "CaffeModel", "StoredLayer", "Weights", "open_weights"]


def open_weights(path: Path, layers: Sequence[schema.Message], kept: KeptSources) -> Weights:
    """The weights in a .caffemodel, Caffe HDF5 or Deep Compression file, for a net of these layers.

    FormatError for a damaged file, with the place of the damage.
    """
    declared = tuple((layer.name, layer.type) for layer in layers)
    return kept.get(("weights", path, declared), lambda: _opened(path, layers, kept))


def _opened(path: Path, layers: Sequence[schema.Message], kept: KeptSources) -> Weights:
    kind = identify(path)
    if kind is Kind.CAFFE_HDF5:
        from converters.from_caffe.weights.hdf5 import Hdf5Weights

        return Hdf5Weights.open(path)
    if kind is Kind.DEEP_COMPRESSION:
        from converters.from_caffe.weights.deep_compression import DeepCompression

        return DeepCompression(kept.file(path), layers)
    return CaffeModel.open(kept.file(path))
