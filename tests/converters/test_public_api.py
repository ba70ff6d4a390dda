"""The public functions as a caller meets them: which files make a net, what the batch is, what errors say."""

from __future__ import annotations

from pathlib import Path

import pytest
from corpus_cases import CORPUS, Case

import converters
from converters.sniff import Kind, identify

CAFFE = CORPUS / "caffe"
NET = Case.load(CAFFE / "arch-alexnet").sources


def shapes(model: object) -> dict[str, str]:
    return model.meta["report"].inputs  # type: ignore[attr-defined]


def test_the_batch_is_symbolic_unless_asked_otherwise() -> None:
    assert shapes(converters.load(*NET)) == {"data": "Nx3x35x35"}
    assert shapes(converters.load(*NET, static_batch=7)) == {"data": "7x3x35x35"}
    assert shapes(converters.load(*NET, input_shapes={"data": (2, 3, 35, 35)})) == {"data": "2x3x35x35"}
    assert shapes(converters.load(*NET, input_shapes={"data": ("B", 3, 35, 35)})) == {"data": "Bx3x35x35"}


def test_outputs_can_be_any_blob() -> None:
    model = converters.load(*NET, outputs=["conv1", "norm1"])
    assert [value.name for value in model.graph.outputs] == ["conv1", "norm1"]
    assert model.meta["report"].layers < converters.load(*NET).meta["report"].layers


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"outputs": ["conv9"]}, "has no blob 'conv9'.*did you mean"),
        ({"outputs": []}, "the net has no output"),
        ({"outputs": ["conv1", "conv1"]}, "named twice"),
        ({"outputs": "conv1"}, "must be a list of names"),
        ({"static_batch": 0}, "static_batch must be 1 or more"),
        ({"input_shapes": {"image": (1, 3, 35, 35)}}, "--input-shape names image; inputs: data"),
        ({"input_shapes": {"data": (1, 0, 35, 35)}}, "has the size 0: expected a number from 1 on"),
        ({"input_shapes": {"data": ("2 x", 3)}}, "has the size '2 x'"),
        ({"select": "model"}, "names a place in a Torch7 file"),
    ],
)
def test_options_that_make_no_sense_are_named(arguments: dict[str, object], says: str) -> None:
    with pytest.raises(converters.UsageError, match=says):
        converters.load(*NET, **arguments)  # type: ignore[arg-type]


def test_options_of_a_definition_are_not_for_a_torch7_file() -> None:
    net = CAFFE.parent / "torch7" / "Add" / "net.t7"
    with pytest.raises(converters.UsageError, match="stages and level are about a Caffe definition"):
        converters.load(net, stages=["deploy"], level=1)


def test_which_files_make_a_net(tmp_path: Path) -> None:
    with pytest.raises(converters.UsageError, match="no files given"):
        converters.load()
    with pytest.raises(converters.UsageError, match="no such file"):
        converters.load(tmp_path / "missing.prototxt")
    with pytest.raises(converters.UsageError, match="two files of the same kind"):
        converters.load(NET[0], NET[0])
    with pytest.raises(converters.UsageError, match="this is a directory"):
        converters.load(tmp_path)
    with pytest.raises(converters.UsageError, match=r"none of \.onnx"):
        converters.convert(NET, tmp_path / "net.tflite")
    with pytest.raises(converters.UsageError, match="exclude each other"):
        converters.convert(NET, tmp_path / "net.onnx", link=True, external=True)
    with pytest.raises(converters.UsageError, match=r"--opset is for \.onnx output"):
        converters.convert(NET, tmp_path / "net.py", opset=13)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("net.caffemodel", b"<!DOCTYPE html><html>", "an HTML page"),
        ("net.caffemodel", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS pointer"),
        ("net.t7", b"PK\x03\x04rest", "zip archive"),
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
    ],
)
def test_content_first_name_second(tmp_path: Path, name: str, content: bytes, kind: Kind) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert identify(path) is kind


def test_an_onnx_file_can_be_read_back(tmp_path: Path) -> None:
    converters.convert(NET, tmp_path / "net.onnx")
    model = converters.load(tmp_path / "net.onnx")
    assert [value.name for value in model.graph.outputs] == ["prob"]
    (tmp_path / "bad.onnx").write_bytes((tmp_path / "net.onnx").read_bytes()[:-100])
    with pytest.raises(converters.FormatError, match="not a readable ONNX model"):
        converters.load(tmp_path / "bad.onnx")
