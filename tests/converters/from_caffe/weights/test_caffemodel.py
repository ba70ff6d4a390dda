"""Weights files from literal bytes: what is read from them, and how errors name damage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from caffemodel_writer import blob, field, layer, varint

import converters
from converters.from_caffe.weights import CaffeModel
from converters.source_files import SourceFile

FLOATS = np.array([1.0, -2.0, 0.5], np.float32)


def opened(folder: Path, data: bytes) -> CaffeModel:
    path = folder / "net.caffemodel"
    path.write_bytes(data)
    return CaffeModel.open(SourceFile(path))


def one_blob(payload: bytes) -> bytes:
    """A net of one layer "a" with one blob."""
    return field(100, field(1, b"a") + field(7, payload))


def test_values_are_views_of_the_file(tmp_path: Path) -> None:
    model = opened(tmp_path, field(100, layer("a", "Scale", [blob(FLOATS)])))
    stored = model.stored("a")
    assert stored is not None
    assert stored.type == "Scale"
    assert stored.blobs[0].shape == (3,)
    assert np.array_equal(stored.blobs[0].values, FLOATS)
    (file,) = model.files
    assert np.shares_memory(stored.blobs[0].values, file.data)


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(b"".join(varint(5 << 3 | 5) + v.tobytes() for v in FLOATS), id="unpacked"),
        pytest.param(field(5, FLOATS[:1].tobytes()) + field(5, FLOATS[1:].tobytes()), id="two runs"),
        pytest.param(
            field(5, FLOATS[:1].tobytes()) + b"".join(varint(45) + v.tobytes() for v in FLOATS[1:]),
            id="mixed",
        ),
        pytest.param(field(8, FLOATS.astype("<f8").tobytes()), id="double"),
        pytest.param(field(8, FLOATS.astype("<f8").tobytes()) + field(5, b"\0" * 12), id="double wins"),
        pytest.param(varint(80) + b"\x02" + field(12, FLOATS.astype("<f2").tobytes()), id="raw half"),
        pytest.param(field(6, b"\0" * 12) + field(5, FLOATS.tobytes()), id="diff beside data"),
    ],
)
@pytest.mark.parametrize(
    "shape", [field(7, field(1, b"\x03")), field(7, b"\x08\x83\x00"), b"\x08\x01\x10\x01\x18\x01\x20\x03"]
)
def test_every_way_to_write_three_floats(tmp_path: Path, payload: bytes, shape: bytes) -> None:
    """Values packed or not, float, double or half; the shape packed, with an over-long number, or legacy."""
    (stored,) = opened(tmp_path, one_blob(shape + payload)).layers()
    assert stored.blobs[0].fits((3,))
    assert np.array_equal(stored.blobs[0].values, FLOATS)


def test_unknown_fields_and_groups_are_stepped_over(tmp_path: Path) -> None:
    group = varint(900 << 3 | 3) + field(1, b"x") + varint(900 << 3 | 4)
    unknown = varint(901 << 3) + b"\x01" + varint(902 << 3 | 1) + b"\0" * 8 + group
    data = unknown + field(100, field(1, b"a") + unknown + field(7, blob(FLOATS) + unknown)) + unknown
    (stored,) = opened(tmp_path, data).layers()
    assert np.array_equal(stored.blobs[0].values, FLOATS)


GOOD = field(100, layer("a", "Scale", [blob(FLOATS)]))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (GOOD[:-1], "claims 31 bytes and 30 remain: truncated or damaged"),
        (b"\xa2\x06\xff\xff\xff\xff\x7f", r"claims 34,359,738,367 bytes and 0 remain"),
        (b"\xff" * 11, "a number longer than ten bytes"),
        (b"\x0a\x01a\xa2", "ends inside a number"),
        (b"\x0a\x01a\x07", "no field can have the tag 7"),
        (b"\x0a\x01a\x03\x01", "the group of field 0|no field can have the tag 3"),
        (b"\x0a\x01a\x0b\x0b\x0b", "does not end"),
        (one_blob(field(7, field(1, b"\x04")) + field(5, FLOATS.tobytes())), "says 4 and holds 3 values"),
        (one_blob(field(7, field(1, b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"))), "says -1 and holds 0"),
        (one_blob(field(7, field(1, b"\x03")) + field(5, b"\0" * 11)), "not a whole number of float32"),
        (
            one_blob(field(7, field(1, b"\x03")) + varint(80) + b"\x07" + field(12, b"\0" * 12)),
            "element type 7",
        ),
        (field(100, field(1, b"\xff\xfe") + field(7, blob(FLOATS))), "not UTF-8"),
    ],
)
def test_damage_is_named_with_its_place(tmp_path: Path, data: bytes, says: str) -> None:
    with pytest.raises(converters.FormatError, match=says) as caught:
        opened(tmp_path, data)
    assert "net.caffemodel: byte " in str(caught.value)
