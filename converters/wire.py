"""Reads protobuf's wire format in place: tags, lengths and whole numbers are decoded, nothing is copied.

protobuf itself would copy every float of a weights file at least once. This reader finds the blobs of a
553 MB file in a millisecond and touches only the pages that hold tags. It checks every length against the
bytes that remain. The format: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from converters.errors import FormatError
from converters.source_files import FileView

if TYPE_CHECKING:
    import numpy as np

VARINT, FIXED64, LENGTH, START_GROUP, END_GROUP, FIXED32 = range(6)
# Real files nest a few messages deep; protobuf's own limit is 100.
MAX_GROUP_DEPTH = 100
# Real nets have some ten thousand fields; reading this many takes half a second.
MAX_FIELDS = 200_000
_MAX_VARINT_BYTES = 10
_MAX_FIELD_NUMBER = 0x1FFFFFFF
_SIZES = {FIXED32: 4, FIXED64: 8}


class Field(NamedTuple):
    """One field of a message, at the bytes [begin, end) of the buffer, its tag included.

    Its value is `value` for a whole number (wire type VARINT), else the bytes [start, end).
    """

    number: int
    wire_type: int
    value: int
    begin: int
    start: int
    end: int

    @property
    def signed(self) -> int:
        """`value` as an int32 or int64: protobuf stores negative numbers as their 64-bit complement."""
        return signed(self.value)


def signed(value: int) -> int:
    """A varint as an int32 or int64: protobuf stores negative numbers as their 64-bit complement."""
    return value - 2**64 if value >= 2**63 else value


class Buffer:
    """The bytes of a file or record, and its name for error messages.

    max_fields: refuse a message with more fields; None for no limit.
    groups: step over groups, which protobuf has deprecated; False refuses them.
    error: the exception class for damaged bytes.
    """

    def __init__(
        self,
        data: np.ndarray | memoryview | bytes | FileView,
        name: str = "",
        *,
        max_fields: int | None = MAX_FIELDS,
        groups: bool = True,
        error: type[Exception] = FormatError,
    ) -> None:
        self.name = name
        self._view: memoryview | FileView
        if isinstance(data, FileView):
            self._view = data
        else:
            self._view = memoryview(data) if isinstance(data, bytes | memoryview) else data.data
        self._max_fields = self._fields_left = len(self._view) if max_fields is None else max_fields
        self._groups = groups
        self._error = error

    def __len__(self) -> int:
        return len(self._view)

    @functools.cached_property
    def data(self) -> np.ndarray:
        """All bytes as a uint8 array over the same memory."""
        import numpy as np

        if isinstance(self._view, FileView):
            return self._view.data
        return np.frombuffer(self._view, np.uint8)

    def bytes(self, start: int, end: int) -> bytes:
        """A copy of a few bytes, such as a name."""
        return bytes(self._view[start:end])

    def content(self, field: Field) -> memoryview:
        """The bytes of a field's value, not copied."""
        return self._view[field.start : field.end]

    def error(self, offset: int, what: str) -> Exception:
        """An exception to raise, which names the file and the byte."""
        where = f"byte {offset:,} of {len(self):,}: {what}"
        return self._error(f"{self.name}: {where}" if self.name else where)

    def varint(self, position: int, end: int) -> tuple[int, int]:
        """(value, next position). A number may take up to ten bytes, even where fewer would do."""
        value = 0
        for k in range(_MAX_VARINT_BYTES):
            if position + k >= end:
                raise self.error(position, "the file or message ends inside a number: truncated?")
            byte = self._view[position + k]
            value |= (byte & 0x7F) << 7 * k
            if byte < 0x80:
                return value & 0xFFFFFFFFFFFFFFFF, position + k + 1
        raise self.error(position, "a number longer than ten bytes: not a protobuf file, or damaged")

    def packed_varints(self, field: Field) -> Iterator[int]:
        """The numbers of a packed repeated field."""
        position = field.start
        while position < field.end:
            value, position = self.varint(position, field.end)
            yield value

    def fields(self, start: int = 0, end: int | None = None) -> Iterator[Field]:
        """The fields of the message in [start, end), in file order, without groups and what is in them."""
        position, end = start, len(self) if end is None else end
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
            raise self.error(position, f"more than {self._max_fields:,} fields: not the weights of a network")
        tag, after = self._view[position], position + 1
        if tag >= 0x80:
            tag, after = self.varint(position, end)
        number, wire_type = tag >> 3, tag & 7
        is_group = wire_type in (START_GROUP, END_GROUP)
        if not 0 < number <= _MAX_FIELD_NUMBER or wire_type > FIXED32 or (is_group and not self._groups):
            raise self.error(position, f"no field can have the tag {tag}: not a protobuf file, or damaged")
        if wire_type == VARINT:
            value, after_value = self.varint(after, end)
            return Field(number, wire_type, value, position, after, after_value)
        if wire_type == LENGTH:
            size, after = self.varint(after, end)
        else:
            size = _SIZES.get(wire_type, 0)
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
