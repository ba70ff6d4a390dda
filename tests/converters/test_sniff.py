"""What kind a file is, and the names of files that are no models."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from torch7_cases import T7Writer

import converters
from converters.sniff import Kind, identify


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("net.caffemodel", b"<!DOCTYPE html><html>", "an HTML page"),
        ("net.caffemodel", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS pointer"),
        ("net.t7", b"PK\x03\x04rest", "zip archive"),
        ("net.t7", b"PK\x03\x04" + bytes(22) + b"\x10\0\0\0archive/data.pkl", "a PyTorch checkpoint"),
        ("net.t7", b"PK\x03\x04" + bytes(22) + b"\x0a\0\0\0net/net.t7", "a zip archive: unpack it"),
        ("net.t7", b"see the other repository", "this is text, but not a Torch7 file"),
        ("net.t7", b"\x1f\x8b\x08rest", "gzip"),
        ("net.caffemodel", b"\x80\x02}q\x00.", "Python pickle"),
        ("net.prototxt", b"\x89PNG\r\n", "PNG image"),
        ("net.prototxt", b'\n{"error": 404}', "this is JSON"),
        ("net.py", b"import torch\n", "this is Python code"),
        ("net.weights", b"\x00\x01\x02\x03", "neither the content nor the name"),
    ],
)
def test_other_peoples_files_are_called_by_name(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(converters.WrongFileError, match=says):
        converters.load(path)


def test_an_empty_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "net.caffemodel"
    path.touch()
    with pytest.raises(converters.FormatError, match="the file is empty"):
        converters.load(path)


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("model", b"\x0a\x03net\xa2\x06\x02\x0a\x00", Kind.CAFFEMODEL),
        ("model", b"\x04\0\0\0\x01\0\0\0\x03\0\0\0V 1", Kind.TORCH7),
        ("model", b"4\n1\n3\nV 1\n", Kind.TORCH7),
        ("model", b'name: "net"\n', Kind.PROTOTXT),
        ("model", b"\x89HDF\r\n\x1a\n\0", Kind.CAFFE_HDF5),
        ("model.onnx", b"\x08\x08\x12\x07dsd-zoo", Kind.ONNX),
        ("weights.net", b"\x00\x10\0\0\x01", Kind.DEEP_COMPRESSION),
        ("weights.net", np.array([4, 3, 2, 1, 9, 9, 9, 9], "<u4").tobytes(), Kind.DEEP_COMPRESSION),
        ("weights.net", np.array([3, 1, 2, 2, 999, 9, 9, 9], "<u4").tobytes(), Kind.DEEP_COMPRESSION),
        ("model.net", T7Writer().file(("nn.Identity", {})), Kind.TORCH7),
        ("model.net", T7Writer().file({"model": ("nn.Identity", {})}), Kind.TORCH7),
        ("model.net", T7Writer().file([("nn.Identity", {})]), Kind.TORCH7),
    ],
)
def test_content_first_name_second(tmp_path: Path, name: str, content: bytes, kind: Kind) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert identify(path) is kind
