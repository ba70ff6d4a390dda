"""The metadata of an .onnx, held against what onnx reads."""

from __future__ import annotations

import onnx
import pytest
from corpus_cases import CORPUS, Case

import converters

CASE = Case.load(CORPUS / "caffe" / "arch-alexnet")


@pytest.mark.parametrize("options", [{}, {"external": True}])
def test_the_metadata_are_those_that_onnx_reads(tmp_path, options):
    converters.convert(CASE.sources, tmp_path / "net.onnx", metadata={"labels": ["a", "ü"]}, **options)
    model = onnx.load(tmp_path / "net.onnx", load_external_data=False)
    found = converters.metadata_of(tmp_path / "net.onnx")
    assert found == {entry.key: entry.value for entry in model.metadata_props}
    assert converters.labels_of(found) == ["a", "ü"]
    assert converters.preprocessing_of(found) is None
    assert converters.preparation_of(found) is None


def test_a_net_without_metadata(tmp_path):
    graph = onnx.helper.make_graph([], "empty", [], [])
    onnx.save(onnx.helper.make_model(graph), tmp_path / "net.onnx")
    assert converters.metadata_of(tmp_path / "net.onnx") == {}


@pytest.mark.parametrize("content", [b"", b"\x08\x0a", b"\x3a\xff\x01", b"what is this"])
def test_what_is_no_net_is_an_error(tmp_path, content):
    (tmp_path / "net.onnx").write_bytes(content)
    with pytest.raises(converters.FormatError, match=r"net\.onnx"):
        converters.metadata_of(tmp_path / "net.onnx")


def test_a_missing_net(tmp_path):
    with pytest.raises(converters.UsageError, match="cannot be read"):
        converters.metadata_of(tmp_path / "net.onnx")
