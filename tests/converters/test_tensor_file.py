"""The .safetensors writer against the library of the format, and over mapped files."""

from __future__ import annotations

import hashlib

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy
from arrays import values

from converters import SourceChangedError, SourceFile, UsageError, source_files
from converters.tensor_file import write_tensors

TYPES = [
    *("float64", "float32", "float16", "complex64", "bool"),
    *("int64", "int32", "int16", "int8", "uint64", "uint32", "uint16", "uint8"),
]
ARRAYS = {
    **{f"{name}{kind}": (values(2, 3) * 9).astype(kind) for kind in TYPES for name in ("z", "a", 'é"\n')},
    "bfloat16": np.ones(3, ml_dtypes.bfloat16),
    "empty": np.zeros((0, 3), np.float32),
    "scalar": np.array(3, np.float32),
    "transposed": values(4, 5).T,
    "big-endian": values(3).astype(">f4"),
}


@pytest.fixture
def mapped(tmp_path, monkeypatch) -> SourceFile:
    """A file that counts as a large one, of 12 x 100 floats."""
    monkeypatch.setattr(source_files, "MAPPED_FROM_BYTES", 1)
    values(12, 100).tofile(tmp_path / "source")
    return SourceFile(tmp_path / "source")


def test_the_same_tensors_make_the_same_file_as_the_library(tmp_path):
    plain = {
        name: np.asarray(array, array.dtype.newbyteorder("<"), order="C") for name, array in ARRAYS.items()
    }
    safetensors.numpy.save_file(plain, tmp_path / "theirs", metadata={"format": "pt"})
    written = write_tensors(tmp_path / "ours", ARRAYS)
    content = (tmp_path / "ours").read_bytes()
    assert content == (tmp_path / "theirs").read_bytes()
    assert written.sha256 == hashlib.sha256(content).hexdigest()
    assert written.size == len(content)
    for name, place in written.places.items():
        assert content[place.offset : place.offset + place.length] == plain[name].tobytes()
        assert place.location == "ours"


def test_no_tensors_make_a_file_too(tmp_path):
    write_tensors(tmp_path / "ours", {})
    safetensors.numpy.save_file({}, tmp_path / "theirs", metadata={"format": "pt"})
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()


def test_an_element_type_that_the_format_has_not(tmp_path):
    with pytest.raises(UsageError, match="'wide' has elements of type complex128"):
        write_tensors(tmp_path / "ours", {"wide": np.zeros(2, np.complex128)})
    assert not (tmp_path / "ours").exists()


@pytest.mark.parametrize("chunk", [64, 1 << 20])
def test_views_of_a_mapped_file_are_read_from_the_file(tmp_path, mapped, monkeypatch, chunk):
    monkeypatch.setattr("converters.output_file._STEP_BYTES", chunk)
    whole = mapped.data.view(np.float32).reshape(12, 100)
    arrays = {
        "whole": whole,
        "part": whole[3:5],
        "turned": whole.T,
        "strided": whole[::5, 1::3],
        "other": values(7),
    }
    written = write_tensors(tmp_path / "out", arrays, [mapped])
    content = (tmp_path / "out").read_bytes()
    assert written.sha256 == hashlib.sha256(content).hexdigest()
    found = safetensors.numpy.load(content)
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize(
    "view", [lambda x: x, lambda x: x.T, lambda x: x[::-2]], ids=["whole", "turned", "back"]
)
def test_a_mapped_file_that_is_cut_off_is_an_error_and_no_sigbus(tmp_path, mapped, view):
    array = view(mapped.data.view(np.float32).reshape(12, 100))
    with (tmp_path / "source").open("r+b") as file:
        file.truncate(0)
    with pytest.raises(
        SourceChangedError, match=r"source: the file was changed .* byte \d+ of 4,800 is gone"
    ):
        write_tensors(tmp_path / "out", {"whole": array}, [mapped])
