"""The file that is assembled without protobuf."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from corpus_cases import CORPUS, DEFAULT_TOLERANCE, Case, assert_agrees, run_onnx

import converters
from converters.to_onnx import self_contained

CAFFE = CORPUS / "caffe"


def test_the_self_contained_file_is_what_onnx_itself_reads(tmp_path: Path) -> None:
    """protobuf parses the assembled message: names, types and every byte of the weights."""
    model = converters.load(*Case.load(CAFFE / "arch-alexnet").sources)
    converters.save(model, tmp_path / "net.onnx")
    read = onnx.load(tmp_path / "net.onnx")
    stored = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in read.graph.initializer}
    wanted = {name: value.const_value.numpy() for name, value in model.graph.initializers.items()}
    assert stored.keys() == wanted.keys()
    assert all(np.array_equal(stored[name], wanted[name]) for name in wanted)
    assert [node.name for node in read.graph.node] == [node.name for node in model.graph]
    metadata = {entry.key: entry.value for entry in read.metadata_props}
    sources = json.loads(metadata["dsd-zoo.sources"])
    assert [source["name"] for source in sources] == ["net.prototxt", "net.caffemodel"]
    assert sources[0]["bytes"] == (CAFFE / "arch-alexnet" / "net.prototxt").stat().st_size


def test_the_fields_have_the_order_of_their_numbers(tmp_path: Path) -> None:
    converters.convert(Case.load(CAFFE / "arch-alexnet").sources, tmp_path / "net.onnx")
    content = (tmp_path / "net.onnx").read_bytes()
    numbers = [field.number for field in converters.wire.Buffer(memoryview(content), "net").fields()]
    assert numbers == sorted(numbers)
    assert content.startswith(b"\x08")  # by which others know the format: ir_version
    assert onnx.load(tmp_path / "net.onnx").ByteSize() == len(content)


@pytest.fixture
def nothing_fits(monkeypatch):
    """As if this net had more bytes than a message of protobuf can."""
    monkeypatch.setattr(self_contained, "RESERVED_BYTES", self_contained.MAX_BYTES)


def test_what_does_not_fit_goes_beside_it_by_itself(tmp_path: Path, nothing_fits) -> None:
    case = Case.load(CAFFE / "arch-alexnet")
    for _ in range(2):  # again, over its own files
        report = converters.convert(case.sources, tmp_path / "net.onnx")
        assert [path.name for path in report.files] == ["net.onnx", "net.safetensors"]
        assert any("the weights are in net.safetensors beside it" in note for note in report.notes)
    onnx.checker.check_model(tmp_path / "net.onnx", full_check=True)
    assert_agrees(run_onnx(tmp_path / "net.onnx", case.inputs), case.outputs, DEFAULT_TOLERANCE)


@pytest.mark.parametrize("has_net", [False, True])
def test_it_replaces_no_weights_of_others(tmp_path: Path, nothing_fits, has_net: bool) -> None:
    sources = Case.load(CAFFE / "arch-alexnet").sources
    converters.convert(sources, tmp_path / "net.py")
    if has_net:
        (tmp_path / "net.onnx").write_bytes(b"")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(converters.UsageError, match=r"net\.safetensors: is there already"):
        converters.convert(sources, tmp_path / "net.onnx")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    converters.convert(sources, tmp_path / "net.onnx", external=True)


def test_metadata_that_outgrow_the_room_are_an_error(tmp_path: Path, monkeypatch) -> None:
    sources = Case.load(CAFFE / "arch-alexnet").sources
    converters.convert(sources, tmp_path / "net.onnx")
    size = (tmp_path / "net.onnx").stat().st_size
    monkeypatch.setattr(self_contained, "RESERVED_BYTES", 0)
    monkeypatch.setattr(self_contained, "MAX_BYTES", size + 1000)
    with pytest.raises(converters.UnsupportedError, match=r"a single \.onnx file can have"):
        converters.convert(sources, tmp_path / "other.onnx", metadata={"licence": "x" * 2000})
    assert [path.name for path in tmp_path.iterdir()] == ["net.onnx"]
