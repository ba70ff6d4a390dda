"""Reading bytes written by hand: every kind of value, binary and ASCII, both sizes of long."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from converters.errors import FormatError
from converters.from_torch7.objects import Function, Table, Tensor, TorchObject
from converters.from_torch7.reader import read


def i(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}i", *values)


def longs(*values: int, size: int = 8) -> bytes:
    return struct.pack(f"<{len(values)}{'q' if size == 8 else 'i'}", *values)


def text(value: bytes) -> bytes:
    return i(len(value)) + value


def string(value: bytes) -> bytes:
    return i(2) + text(value)


def number(value: float) -> bytes:
    return i(1) + struct.pack("<d", value)


def table(index: int, *entries: bytes) -> bytes:
    return i(3, index, len(entries) // 2) + b"".join(entries)


def torch_object(index: int, name: bytes, payload: bytes, version: bytes = b"V 1") -> bytes:
    return i(4, index) + text(version) + text(name) + payload


def storage(index: int, values: list[float], size: int = 8) -> bytes:
    elements = struct.pack(f"<{len(values)}f", *values)
    return torch_object(index, b"torch.FloatStorage", longs(len(values), size=size) + elements)


def tensor(
    index: int, sizes: list[int], strides: list[int], offset: int, inside: bytes, size: int = 8
) -> bytes:
    header = i(len(sizes)) + longs(*sizes, *strides, offset, size=size)
    return torch_object(index, b"torch.FloatTensor", header + inside)


@pytest.fixture
def load(tmp_path: Path):
    def load(content: bytes) -> object:
        path = tmp_path / "file.t7"
        path.write_bytes(content)
        return read(path).value

    return load


def test_scalars(load):
    assert load(i(0)) is None
    assert load(number(-2.5)) == -2.5
    assert load(string(b"caf\xc3\xa9 \xff")) == "café \\xff"
    assert load(i(5, 1)) is True
    assert load(i(5, 0)) is False


def test_table_keeps_keys_of_every_kind_apart(load):
    value = load(
        table(
            1,
            number(1),
            string(b"one"),
            i(5, 1),
            string(b"true"),
            string(b"1"),
            number(3),
            number(1.5),
            i(5, 0),
        )
    )
    assert isinstance(value, Table)
    assert list(value.items()) == [("1", 3.0), (1, "one"), (1.5, False), (True, "true")]
    assert value.sequence() == ["one"]


def test_shared_references_and_cycles(load):
    value = load(table(1, string(b"self"), i(3, 1), string(b"a"), table(2), string(b"b"), i(3, 2)))
    assert isinstance(value, Table)
    assert value.fields["self"] is value
    assert value.fields["a"] is value.fields["b"]


@pytest.mark.parametrize("size", [8, 4])
def test_tensors_are_windows_of_one_storage(load, size):
    first = tensor(2, [2, 2], [1, 2], 2, storage(3, [0, 1, 2, 3, 4], size), size)
    second = tensor(4, [3], [0], 5, i(4, 3), size)
    value = load(table(1, string(b"a"), first, string(b"b"), second))
    assert isinstance(value, Table)
    a, b = value.fields["a"], value.fields["b"]
    assert a.array.tolist() == [[1, 3], [2, 4]]
    assert b.array.tolist() == [4, 4, 4]
    assert a.storage is b.storage
    assert np.shares_memory(a.array, b.array)


def test_empty_tensor(load):
    value = load(tensor(1, [], [], 1, i(0)))
    assert isinstance(value, Tensor)
    assert value.array.shape == (0,)


@pytest.mark.parametrize(("version", "expected"), [(b"V 1", 1), (b"V 12", 12)])
def test_class_versions(load, version, expected):
    value = load(torch_object(1, b"nn.Identity", table(2, string(b"train"), i(5, 0)), version))
    assert isinstance(value, TorchObject)
    assert (value.class_name, value.version, value.fields.fields) == (
        "nn.Identity",
        expected,
        {"train": False},
    )


def test_class_name_without_version(load):
    value = load(i(4, 1) + text(b"nn.Identity") + table(2))
    assert isinstance(value, TorchObject)
    assert (value.class_name, value.version) == ("nn.Identity", 0)


@pytest.mark.parametrize("head", [i(6), i(7, 1), i(8, 1)])
def test_functions_are_passed_over(load, head):
    function = head + text(b"\x1bLJ not code") + table(2, number(1), string(b"upvalue"))
    value = load(table(9, string(b"f"), function, string(b"g"), number(7)))
    assert isinstance(value, Table)
    assert isinstance(value.fields["f"], Function)
    assert value.fields["g"] == 7


def test_classes_that_store_themselves_their_own_way(load):
    hash_ = torch_object(2, b"tds.Hash", longs(1) + string(b"k") + number(5), b"V 0")
    vector = torch_object(3, b"tds.Vec", longs(2) + string(b"x") + string(b"y"), b"V 0")
    counter = torch_object(4, b"tds.AtomicCounter", longs(9), b"V 0")
    timer = torch_object(5, b"torch.Timer", b"")
    replicas = torch_object(6, b"nn.DataParallelTable", table(7) + table(8, string(b"d"), number(1)), b"V 3")
    names = [b"hash", b"vec", b"count", b"timer", b"dpt"]
    parts = [
        part for pair in zip(names, [hash_, vector, counter, timer, replicas], strict=True) for part in pair
    ]
    value = load(table(1, *(string(p) if p in names else p for p in parts)))
    assert isinstance(value, Table)
    fields = value.fields
    assert fields["hash"].fields.fields == {"k": 5}
    assert fields["vec"].fields.sequence() == ["x", "y"]
    assert fields["count"].fields.fields == {"value": 9}
    assert len(fields["timer"].fields) == 0
    assert fields["dpt"].fields.fields == {"d": 1}


def test_ascii_gives_what_binary_gives(load):
    lines = [b"4", b"1", b"3", b"V 1", b"17", b"torch.FloatTensor", b"1", b"3", b"2", b"1", b"4", b"2", b"3"]
    lines += [b"V 1", b"18", b"torch.FloatStorage", b"5", b"1 -2.5 nan 1e3 -inf", b""]
    for line_end in (b"\n", b"\r\n"):
        value = load(line_end.join(lines))
        assert isinstance(value, Tensor)
        np.testing.assert_array_equal(value.array, np.array([1, np.nan, -np.inf], np.float32))


def test_ascii_strings_are_taken_by_length(load):
    value = load(b"3\n1\n2\n2\n4\n a\nb\n1\n0.5\n2\n0\n5\n1\n")
    assert isinstance(value, Table)
    assert value.fields == {" a\nb": 0.5, "": True}


def test_ten_thousand_levels_are_no_matter(load):
    value = load(b"".join(table(k, number(1), b"") for k in range(10_000)) + i(0))
    depth = 0
    while isinstance(value, Table):
        value, depth = value.numbered[1], depth + 1
    assert depth == 10_000


def test_depth_has_a_limit(load):
    with pytest.raises(FormatError, match="objects are nested too deeply"):
        load(b"".join(table(k, number(1), b"") for k in range(60_000)) + i(0))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (i(9), "byte 0: 9 is no type of value; expected 0 to 8"),
        (i(3, 1, 1) + i(0, 0), "byte 12: a table claims 1 entries, but only 8 bytes are left"),
        (table(1, i(0), i(0, 0)), "byte 12: the key of a table entry is nil"),
        (table(1, number(float("nan")), i(0)), "byte 12: the key of a table entry is NaN"),
        (string(b"abc")[:-1], "byte 8: a string needs 3 bytes, but only 2 are left"),
        (i(2, -1), "byte 8: a string has a negative length (-1)"),
        (
            table(1, string(b"x"), i(4, 1)),
            "byte 21: object 1 is a table, but is referred to as a torch object",
        ),
        (i(4, 1) + text(b"V 1") + text(b"a b"), "byte 8: 'a b' is no name of a class"),
        (
            torch_object(1, b"nn.Linear", i(0)),
            "byte 28: the fields of an object of class nn.Linear are not a table",
        ),
        (
            torch_object(1, b"torch.FloatStorage", longs(2**40)),
            "byte 45: a torch.FloatStorage of 1,099,511,627,776 elements needs 4,398,046,511,104 bytes, "
            "but only 0 are left",
        ),
        (
            tensor(1, [2, 2], [2, 1], 2, storage(2, [0, 1, 2, 3])),
            "byte 36: a torch.FloatTensor of size 2x2, strides 2x1: "
            "it reaches from element 2 to 5 of a storage of 4",
        ),
        (tensor(1, [2], [1], 1, i(0)), "size 2, strides 1: it has no storage"),
        (tensor(1, [-2], [1], 1, storage(2, [0, 1])), "size -2, strides 1: a size is negative"),
        (tensor(1, [2], [-1], 2, storage(2, [0, 1])), "size 2, strides -1: a stride is negative"),
        (
            tensor(1, [2], [1], 1, table(2)),
            "the storage of a torch.FloatTensor is not a storage of its type",
        ),
        (struct.pack(">i", 1) + bytes(8), "big-endian? only little-endian files are supported"),
    ],
)
def test_damage_is_named_with_its_place(load, content, message):
    with pytest.raises(FormatError) as error:
        load(content)
    assert message in str(error.value)
    assert "file.t7" in str(error.value)
