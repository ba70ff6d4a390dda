"""Protobuf's wire format, as far as Caffe's records need it: tags, numbers and runs of bytes.

A record of an LMDB is read where it is mapped: what is not asked for, such as the pixels while labels are
collected, is stepped over and never touched.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from zoo.errors import DataError

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
FIXED_SIZES = {FIXED64: 8, FIXED32: 4}
MOST_VARINT_BYTES = 10


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a message: its number, its wire type, and a number (VARINT) or the bytes of its value."""

    number: int
    wire_type: int
    value: int
    content: memoryview

    def signed(self) -> int:
        """The number as an int32 or int64, as protobuf stores negative ones."""
        return self.value - (1 << 64) if self.value >> 63 else self.value


def fields(message: memoryview) -> Iterator[Field]:
    """The fields of a message in their order. DataError where the bytes are no protobuf message."""
    position, empty = 0, message[:0]
    while position < len(message):
        tag, position = _varint(message, position)
        wire_type = tag & 7
        if wire_type == VARINT:
            value, position = _varint(message, position)
            yield Field(tag >> 3, wire_type, value, empty)
            continue
        if wire_type == LENGTH:
            size, position = _varint(message, position)
        elif wire_type in FIXED_SIZES:
            size = FIXED_SIZES[wire_type]
        else:
            raise DataError(f"damaged: byte {position - 1} of {len(message)} is no field of a record")
        if size > len(message) - position:
            raise DataError(
                f"damaged: field {tag >> 3} wants {size} bytes, {len(message) - position} are left"
            )
        yield Field(tag >> 3, wire_type, 0, message[position : position + size])
        position += size


def packed_varints(content: memoryview) -> list[int]:
    """The numbers of a packed repeated field. DataError where it is damaged."""
    numbers, position = [], 0
    while position < len(content):
        number, position = _varint(content, position)
        numbers.append(number)
    return numbers


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    value = 0
    for k in range(MOST_VARINT_BYTES):
        if position + k >= len(message):
            raise DataError(f"damaged: it ends inside a number, at byte {position} of {len(message)}")
        byte = message[position + k]
        value |= (byte & 0x7F) << 7 * k
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, position + k + 1
    raise DataError(f"damaged: a number longer than ten bytes at byte {position} of {len(message)}")
