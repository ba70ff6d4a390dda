"""Protobuf's wire format: what a field is, which damage is found, and that nothing is copied."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from converters import FormatError
from converters.wire import END_GROUP, FIXED32, FIXED64, LENGTH, START_GROUP, VARINT, Buffer, signed


def tag(number: int, wire_type: int) -> bytes:
    return bytes([number << 3 | wire_type])


def test_fields_come_in_file_order_with_the_place_of_their_values():
    message = (
        tag(1, VARINT)
        + b"\x96\x01"
        + tag(2, LENGTH)
        + b"\x03abc"
        + tag(3, FIXED32)
        + struct.pack("<f", 0.5)
        + tag(4, FIXED64)
        + struct.pack("<d", -2)
    )
    buffer = Buffer(message, "net.caffemodel")
    found = list(buffer.fields())
    assert [(field.number, field.wire_type, field.value) for field in found] == [
        (1, VARINT, 150),
        (2, LENGTH, 0),
        (3, FIXED32, 0),
        (4, FIXED64, 0),
    ]
    assert buffer.bytes(found[1].start, found[1].end) == b"abc"
    assert struct.unpack("<f", buffer.content(found[2])) == (0.5,)
    assert struct.unpack("<d", buffer.content(found[3])) == (-2,)
    assert [(field.begin, field.end) for field in found] == [(0, 3), (3, 8), (8, 13), (13, 22)]


def test_a_message_inside_a_message_is_read_by_its_place():
    buffer = Buffer(tag(7, LENGTH) + b"\x02" + tag(1, VARINT) + b"\x05")
    (outer,) = buffer.fields()
    (inner,) = buffer.fields(outer.start, outer.end)
    assert (inner.number, inner.value) == (1, 5)


def test_values_share_the_memory_of_the_buffer():
    array = np.frombuffer(bytearray(tag(2, LENGTH) + b"\x04abcd"), np.uint8)
    buffer = Buffer(array, "net.caffemodel")
    (field,) = buffer.fields()
    assert np.shares_memory(buffer.data, array)
    assert np.shares_memory(np.frombuffer(buffer.content(field), np.uint8), array)


def test_negative_numbers_are_stored_as_their_64_bit_complement():
    buffer = Buffer(tag(5, VARINT) + b"\xff" * 9 + b"\x01")
    (field,) = buffer.fields()
    assert (field.value, field.signed) == (2**64 - 1, -1)
    assert [signed(value) for value in (0, 2**63 - 1, 2**63)] == [0, 2**63 - 1, -(2**63)]


def test_packed_numbers():
    buffer = Buffer(tag(1, LENGTH) + b"\x04\x01\x96\x01\x7f")
    (field,) = buffer.fields()
    assert list(buffer.packed_varints(field)) == [1, 150, 127]
    damaged = Buffer(tag(1, LENGTH) + b"\x02\x01\x96" + tag(2, VARINT) + b"\x01")
    field = next(damaged.fields())
    with pytest.raises(FormatError, match="byte 3 of 6: the file or message ends inside a number"):
        list(damaged.packed_varints(field))


@pytest.mark.parametrize(
    ("message", "says"),
    [
        (tag(1, 7), "byte 0 of 1: no field can have the tag 15"),
        (tag(0, VARINT) + b"\x01", "byte 0 of 2: no field can have the tag 0"),
        (b"\xf8\xff\xff\xff\x1f\x00", "byte 0 of 6: no field can have the tag"),
        (tag(4, LENGTH) + b"\x7fabc", "byte 0 of 5: field 4 claims 127 bytes and 3 remain"),
        (tag(1, FIXED32) + b"abc", "byte 0 of 4: field 1 claims 4 bytes and 3 remain"),
        (tag(1, FIXED64) + b"abc", "byte 0 of 4: field 1 claims 8 bytes and 3 remain"),
        (tag(1, VARINT), "byte 1 of 1: the file or message ends inside a number"),
        (b"\xff", "byte 0 of 1: the file or message ends inside a number"),
        (tag(1, VARINT) + b"\xff" * 11, "byte 1 of 12: a number longer than ten bytes"),
        (tag(1, START_GROUP) + tag(2, VARINT) + b"\x01", "byte 1 of 3: the group of field 1 does not end"),
        (tag(1, START_GROUP) + tag(2, END_GROUP), "byte 2 of 2: a group ends that was not opened"),
        (tag(1, START_GROUP) * 200, "byte 1 of 200: the group of field 1 does not end"),
    ],
)
def test_damage_is_named_with_file_and_byte(message: bytes, says: str):
    with pytest.raises(FormatError, match=rf"^net\.caffemodel: {says}"):
        list(Buffer(message, "net.caffemodel").fields())


def test_groups_are_stepped_over_or_refused():
    group = tag(3, START_GROUP) + tag(1, VARINT) + b"\x01" + tag(3, END_GROUP)
    message = group + tag(2, VARINT) + b"\x09"
    assert [field.number for field in Buffer(message).fields()] == [2]
    with pytest.raises(FormatError, match="byte 0 of 6: no field can have the tag 27"):
        list(Buffer(message, groups=False).fields())


def test_the_number_of_fields_is_limited_unless_asked_otherwise():
    message = (tag(1, VARINT) + b"\x01") * 4
    assert len(list(Buffer(message, max_fields=4).fields())) == 4
    assert len(list(Buffer(message, max_fields=None).fields())) == 4
    with pytest.raises(FormatError, match="byte 6 of 8: more than 3 fields"):
        list(Buffer(message, max_fields=3).fields())


def test_the_caller_chooses_the_error():
    with pytest.raises(LookupError, match=r"^byte 0 of 1: no field"):
        list(Buffer(b"\x0f", error=LookupError).fields())
