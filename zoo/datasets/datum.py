"""Caffe's Datum: one labelled image, encoded or as raw numbers, as `convert_imageset` writes it.

    message Datum {
      optional int32 channels = 1;  optional int32 height = 2;  optional int32 width = 3;
      optional bytes data = 4;      optional int32 label = 5;   repeated float float_data = 6;
      optional bool encoded = 7;
    }

Raw numbers are channels first; three channels are BGR.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from converters import FileView, wire
from zoo.errors import DataError
from zoo.preprocessing.decode import DecodedImage

FEW_FIELDS, FLOAT_FIELD_BYTES = 100, 5
CHANNELS, HEIGHT, WIDTH, DATA, LABEL, FLOAT_DATA, ENCODED = range(1, 8)


def read_label(record: memoryview | FileView) -> int:
    """The label of a Datum; the image itself is skipped. DataError if the record is not a Datum."""
    label = 0
    for field in _buffer(record).fields():
        if field.number == LABEL and field.wire_type == wire.VARINT:
            label = field.signed
    return label


def read_image(record: memoryview) -> bytes | DecodedImage:
    """The encoded image of a Datum, or its raw numbers as (height, width, channels), uint8 or float32.

    Raises:
        DataError: damaged, or the count of numbers does not fit the shape.
    """
    numbers = {CHANNELS: 0, HEIGHT: 0, WIDTH: 0, ENCODED: 0}
    data: memoryview | None = None
    floats: list[memoryview] = []
    buffer = _buffer(record)
    for field in buffer.fields():
        if field.wire_type == wire.VARINT and field.number in numbers:
            numbers[field.number] = field.signed
        elif field.wire_type == wire.LENGTH and field.number == DATA:
            data = buffer.content(field)
        elif field.wire_type in (wire.LENGTH, wire.FIXED32) and field.number == FLOAT_DATA:
            floats.append(buffer.content(field))
    if numbers[ENCODED]:
        return bytes(data or b"")
    shape = (numbers[CHANNELS], numbers[HEIGHT], numbers[WIDTH])
    # As in Caffe's DataTransformer: bytes count where there are any.
    content = bytes(data) if data else b"".join(floats)
    values: NDArray[Any] = np.frombuffer(content, np.uint8 if data else "<f4", _whole(content, bool(data)))
    if min(shape) < 1 or values.size != shape[0] * shape[1] * shape[2]:
        raise DataError(
            f"a Datum of {shape[0]} x {shape[1]} x {shape[2]} (channels, height, width) "
            f"with {values.size} numbers"
        )
    return DecodedImage(values.reshape(shape).transpose(1, 2, 0), hashlib.sha256(content).hexdigest())


def _buffer(record: memoryview | FileView) -> wire.Buffer:
    # Floats that are not packed are the only field of which there are many.
    most = FEW_FIELDS + len(record) // FLOAT_FIELD_BYTES
    return wire.Buffer(record, max_fields=most, groups=False, error=DataError)


def _whole(content: bytes, is_bytes: bool) -> int:
    if not is_bytes and len(content) % 4:
        raise DataError(f"a Datum whose floats take {len(content)} bytes, which is not a multiple of 4")
    return len(content) if is_bytes else len(content) // 4
