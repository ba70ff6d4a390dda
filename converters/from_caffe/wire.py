"""Protobuf's wire format over a memory map: tags and lengths only, values stay where they are.

protobuf itself would copy every float of a weights file at least once; this walks a 553 MB file in a
millisecond and touches only the pages it names. Every length is checked against the bytes that remain.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from converters.errors import FormatError

VARINT, FIXED64, LENGTH, START_GROUP, END_GROUP, FIXED32 = range(6)
# Real files nest a few messages deep; protobuf's own limit is 100.
MAX_GROUP_DEPTH = 100
# Real nets have some ten thousand fields; this many take half a second to look at.
MAX_FIELDS = 200_000
_MAX_VARINT_BYTES = 10


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a message, from its tag at `begin` to `end`.

    Its value is `value` (a varint) or the bytes [start, end) of the buffer.
    """

    number: int
    wire_type: int
    value: int
    begin: int
    start: int
    end: int


class Buffer:
    """The bytes of a file and its name, for errors."""

    def __init__(self, data: np.ndarray, name: str) -> None:
        self.data = data
        self.name = name
        self._view = data.data.cast("B")
        self._fields_left = MAX_FIELDS

    def __len__(self) -> int:
        return len(self._view)

    def bytes(self, start: int, end: int) -> bytes:
        """A copy of a short run of bytes, such as a name."""
        return bytes(self._view[start:end])

    def error(self, offset: int, what: str) -> FormatError:
        """A FormatError that names the file and the byte."""
        return FormatError(f"{self.name}: byte {offset:,} of {len(self):,}: {what}")

    def varint(self, position: int, end: int) -> tuple[int, int]:
        """(value, next position); over-long encodings are legal up to ten bytes."""
        value = 0
        for k in range(_MAX_VARINT_BYTES):
            if position + k >= end:
                raise self.error(position, "the file or message ends inside a number: truncated?")
            byte = self._view[position + k]
            value |= (byte & 0x7F) << 7 * k
            if byte < 0x80:
                return value & 0xFFFFFFFFFFFFFFFF, position + k + 1
        raise self.error(position, "a number longer than ten bytes: not a protobuf file, or damaged")

    def fields(self, start: int, end: int) -> Iterator[Field]:
        """The fields of the message in [start, end), in file order; groups are stepped over whole."""
        position = start
        while position < end:
            field = self._field(position, end)
            if field.wire_type == START_GROUP:
                position = self._group_end(field, end)
                continue
            position = field.end
            yield field

    def _field(self, position: int, end: int) -> Field:
        self._fields_left -= 1
        if self._fields_left < 0:
            raise self.error(position, f"more than {MAX_FIELDS:,} fields: not the weights of a network")
        tag, after = self.varint(position, end)
        number, wire_type = tag >> 3, tag & 7
        if number == 0 or number > 0x1FFFFFFF or wire_type > FIXED32:
            raise self.error(position, f"no field can have the tag {tag}: not a protobuf file, or damaged")
        if wire_type == VARINT:
            value, after_value = self.varint(after, end)
            return Field(number, wire_type, value, position, after, after_value)
        if wire_type == LENGTH:
            size, after = self.varint(after, end)
        else:
            size = {FIXED32: 4, FIXED64: 8}.get(wire_type, 0)
        if size > end - after:
            raise self.error(
                position,
                f"field {number} claims {size:,} bytes and {end - after:,} remain: truncated or damaged; "
                "download or copy the file again",
            )
        return Field(number, wire_type, 0, position, after, after + size)

    def _group_end(self, group: Field, end: int) -> int:
        open_groups, position = [group.number], group.end
        while open_groups:
            if position >= end or len(open_groups) > MAX_GROUP_DEPTH:
                raise self.error(group.start, f"the group of field {group.number} does not end: damaged")
            field = self._field(position, end)
            position = field.end
            if field.wire_type == START_GROUP:
                open_groups.append(field.number)
            elif field.wire_type == END_GROUP and open_groups.pop() != field.number:
                raise self.error(position, "a group ends that was not opened: damaged")
        return position
