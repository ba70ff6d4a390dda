"""Binary .caffemodel files -> the parameter blobs of each layer, as array views over a memory map."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from converters.from_caffe.limits import MAX_BLOB_AXES, blob_problem
from converters.from_caffe.weights.blobs import Blob, StoredLayer
from converters.source_files import SourceFile
from converters.wire import FIXED32, FIXED64, LENGTH, VARINT, Buffer, Field, signed

# NVCaffe's BlobProto.Type, the element types of raw_data.
_RAW_TYPES: dict[int, np.dtype[Any]] = {0: np.dtype("<f8"), 1: np.dtype("<f4"), 2: np.dtype("<f2")}
_FLOAT32, _FLOAT64 = np.dtype("<f4"), np.dtype("<f8")


@dataclass
class CaffeModel:
    """A binary .caffemodel of any generation (V0, V1 or V2)."""

    path: Path
    are_placeholders: ClassVar[bool] = False
    files: list[SourceFile] = field(default_factory=list)
    _layers: list[StoredLayer] = field(default_factory=list)
    _by_name: dict[str, StoredLayer] = field(default_factory=dict)
    _parameter_fields: dict[str, set[int]] = field(default_factory=dict)

    @classmethod
    def open(cls, file: SourceFile) -> CaffeModel:
        """Find every blob in it; FormatError at the first byte that breaks a rule."""
        buffer = Buffer(file.view, str(file.path))
        model = cls(file.path, [file])
        for layer, parameters in _stored_layers(buffer):
            model._parameter_fields.setdefault(layer.type, set()).update(parameters)
            if layer.blobs:
                model._layers.append(layer)
                model._by_name[layer.name] = layer
        return model

    def stored(self, layer: str, shapes: Sequence[tuple[int, ...]] | None = None) -> StoredLayer | None:
        """See Weights."""
        return self._by_name.get(layer)

    def layers(self) -> Sequence[StoredLayer]:
        """See Weights."""
        return self._layers

    def parameter_fields(self, layer_type: str) -> frozenset[int]:
        """See Weights."""
        return frozenset(self._parameter_fields.get(layer_type, ()))


# NetParameter.layer (V2) and .layers (V1), and V1LayerParameter.layer (V0).
_NET_LAYER, _NET_V1_LAYER, _V1_V0_LAYER = 100, 2, 1
# From here on, LayerParameter (V2) holds the parameter messages of the layer types.
_FIRST_PARAMETERS = 100


@dataclass(frozen=True)
class _FieldNumbers:
    """Where one generation of Caffe stores the name, the type and the blobs of a layer."""

    name: int
    type: int
    blobs: int


_V2, _V1, _V0 = _FieldNumbers(1, 2, 7), _FieldNumbers(4, 5, 6), _FieldNumbers(1, 2, 50)


def _stored_layers(buffer: Buffer) -> Iterator[tuple[StoredLayer, set[int]]]:
    """Each layer of the file, with the field numbers of the parameter messages stored in it."""
    position = 0
    for item in buffer.fields(0, len(buffer)):
        if item.wire_type != LENGTH or item.number not in (_NET_LAYER, _NET_V1_LAYER):
            continue
        yield _stored_layer(buffer, item, _V2 if item.number == _NET_LAYER else _V1, position)
        position += 1


def _stored_layer(
    buffer: Buffer, item: Field, fields: _FieldNumbers, position: int
) -> tuple[StoredLayer, set[int]]:
    name, kind, blobs, parameters = "", "", [], set()
    for inner in buffer.fields(item.start, item.end):
        if inner.number == fields.name and inner.wire_type == LENGTH:
            name = _text(buffer, inner)
        elif inner.number == fields.type:
            kind = _text(buffer, inner) if inner.wire_type == LENGTH else str(inner.value)
        elif inner.number == fields.blobs and inner.wire_type == LENGTH:
            blobs.append(inner)
        elif fields is _V1 and inner.number == _V1_V0_LAYER and inner.wire_type == LENGTH:
            return _stored_layer(buffer, inner, _V0, position)
        elif fields is _V2 and inner.number >= _FIRST_PARAMETERS and inner.wire_type == LENGTH:
            parameters.add(inner.number)
    stored = [_blob(buffer, blob, name, k) for k, blob in enumerate(blobs)]
    return StoredLayer(name, kind, stored, position), parameters


def _text(buffer: Buffer, item: Field) -> str:
    try:
        return buffer.bytes(item.start, item.end).decode("utf-8")
    except UnicodeDecodeError:
        raise buffer.error(item.start, "a name that is not UTF-8 text: damaged") from None


def _blob(buffer: Buffer, item: Field, layer: str, index: int) -> Blob:
    legacy = [0, 0, 0, 0]
    has_shape, has_legacy, raw_type = False, False, None
    dims: list[int] = []
    floats: list[Field] = []
    doubles: list[Field] = []
    raw: Field | None = None
    where = f"blob {index} of layer {layer!r}"
    for inner in _blob_fields(buffer, item):
        if inner.number == 5:
            floats.append(inner)
        elif inner.number == 8:
            doubles.append(inner)
        elif inner.number == 7 and inner.wire_type == LENGTH:
            has_shape = True
            for size in _dims(buffer, inner):
                if len(dims) == MAX_BLOB_AXES:
                    raise buffer.error(inner.start, f"{where} has more than {MAX_BLOB_AXES} axes: damaged")
                dims.append(size)
        elif 1 <= inner.number <= 4 and inner.wire_type == VARINT:
            has_legacy = True
            legacy[inner.number - 1] = inner.value
        elif inner.number == 10 and inner.wire_type == VARINT:
            raw_type = inner.value
        elif inner.number == 12 and inner.wire_type == LENGTH:
            raw = inner
    if raw is not None and not floats and not doubles:
        values = _raw_values(buffer, raw, raw_type, where)
    else:  # double_data wins where both are present
        values = (
            _values(buffer, doubles, _FLOAT64, where) if doubles else _values(buffer, floats, _FLOAT32, where)
        )
    shape = tuple(dims) if has_shape or not has_legacy else None
    blob = Blob(values, shape, None if shape is not None else (legacy[0], legacy[1], legacy[2], legacy[3]))
    possible = min(blob.stated_shape, default=0) >= 0 and blob_problem(blob.stated_shape) is None
    if not possible or math.prod(blob.stated_shape) != values.size:
        stated = "x".join(map(str, blob.stated_shape)) or "a scalar"
        raise buffer.error(item.start, f"{where} says {stated} and holds {values.size:,} values: damaged")
    return blob


def _blob_fields(buffer: Buffer, item: Field) -> Iterator[Field]:
    """The fields of a blob. A run of unpacked values, each with its own tag, is one Field.

    The Field of such a run has the wire type FIXED32 or FIXED64 and spans tags and values.
    """
    position = item.start
    while position < item.end:
        tag, after = buffer.varint(position, item.end)
        number, width = tag >> 3, {FIXED32: 4, FIXED64: 8}.get(tag & 7)
        if width is not None and number in (5, 8) and after == position + 1:
            stride = 1 + width
            whole = (item.end - position) // stride
            tags = buffer.data[position : position + whole * stride : stride]
            other = np.flatnonzero(tags != tag)
            length = int(other[0]) if other.size else whole
            if length == 0:
                raise buffer.error(position, "the blob ends inside a value: truncated or damaged")
            yield Field(number, tag & 7, 0, position, position, position + length * stride)
            position += length * stride
            continue
        field_ = next(buffer.fields(position, item.end), None)
        if field_ is None:
            return
        if number not in (5, 8) or field_.wire_type == LENGTH:
            yield field_
        position = field_.end


def _dims(buffer: Buffer, item: Field) -> Iterator[int]:
    """The sizes in a BlobShape: packed or not, in one field or in several."""
    for inner in buffer.fields(item.start, item.end):
        if inner.number == 1 and inner.wire_type == VARINT:
            yield inner.signed
        elif inner.number == 1 and inner.wire_type == LENGTH:
            yield from map(signed, buffer.packed_varints(inner))


def _values(buffer: Buffer, items: list[Field], dtype: np.dtype, where: str) -> np.ndarray:
    parts = [_packed(buffer, item, dtype, where) for item in items]
    if len(parts) == 1:
        return parts[0]  # the usual case: one packed run, a view
    return np.concatenate(parts) if parts else np.empty(0, dtype)


def _packed(buffer: Buffer, item: Field, dtype: np.dtype, where: str) -> np.ndarray:
    data = buffer.data[item.start : item.end]
    if item.wire_type in (FIXED32, FIXED64):
        tagged = np.dtype([("tag", "u1"), ("value", dtype)])
        values: np.ndarray = data.view(tagged)["value"].copy()
        return values
    if data.size % dtype.itemsize:
        raise buffer.error(
            item.start, f"{where}: {data.size} bytes are not a whole number of {dtype.name} values"
        )
    return data.view(dtype)


def _raw_values(buffer: Buffer, raw: Field, raw_type: int | None, where: str) -> np.ndarray:
    dtype = _RAW_TYPES.get(1 if raw_type is None else raw_type)
    if dtype is None:
        raise buffer.error(
            raw.start, f"{where}: raw_data of element type {raw_type}; known: double, float, half"
        )
    return _packed(buffer, raw, dtype, where)
