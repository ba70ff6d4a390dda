"""The file that is assembled without protobuf."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
from corpus_cases import CORPUS, Case

import converters

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
