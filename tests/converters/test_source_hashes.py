"""Sources are hashed while the net is written: when, how often, what is recorded, and what if they change."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tracemalloc
from pathlib import Path

import numpy as np
import onnx
import pytest
import safetensors.numpy
from caffemodel_writer import write_caffemodel
from corpus_cases import CORPUS, Case

import converters
from converters import SourceChangedError, source_hashes

CASE = Case.load(CORPUS / "caffe" / "arch-alexnet")
TENSORS = CORPUS / "torch7-models" / "nin-like" / "net.t7"
HASHES = [hashlib.sha256(path.read_bytes()).hexdigest() for path in CASE.sources]
OUTPUTS = [("net.onnx", {}), ("net.onnx", {"external": True}), ("net.py", {}), ("net", {})]


@pytest.fixture
def sources(tmp_path):
    return [shutil.copy(path, tmp_path) for path in CASE.sources]


def recorded(path) -> dict[str, str]:
    return {entry.key: entry.value for entry in onnx.load(path, load_external_data=False).metadata_props}


@pytest.mark.parametrize(("name", "options"), OUTPUTS)
def test_what_is_told_late_is_asked_for_once_when_the_weights_are_there(
    tmp_path, sources, monkeypatch, name, options
):
    monkeypatch.setattr("converters.output_file._COLLECTED_BYTES", 0)
    written = []

    def late():
        files = [path for path in tmp_path.rglob("*.part/*") if path.is_file()]
        written.append(max((path.stat().st_size for path in files), default=0))
        return {"sha256": HASHES, "metadata": {"licence": "told"}, "default_preprocessing": {"crop": 7}}

    report = converters.convert(sources, tmp_path / name, late=late, **options)
    assert len(written) == 1
    assert written[0] > 0.9 * Path(sources[1]).stat().st_size
    assert [source.sha256 for source in report.sources] == HASHES
    net = next(path for path in report.files if path.suffix in (".onnx", ".py"))
    text = net.read_text() if net.suffix == ".py" else str(recorded(net))
    assert all(digest in text for digest in HASHES)
    assert net.suffix == ".py" or recorded(net)["dsd-zoo.licence"] == '"told"'


@pytest.mark.parametrize(("name", "options"), [*OUTPUTS, ("net.onnx", {"link": True})])
def test_each_source_is_hashed_once(tmp_path, sources, monkeypatch, name, options):
    hashed = []
    hash_source = source_hashes._sha256
    monkeypatch.setattr(
        source_hashes, "_sha256", lambda path, *a: hashed.append(path) or hash_source(path, *a)
    )
    report = converters.convert(sources, tmp_path / name, **options)
    assert [str(path) for path in hashed] == sources
    assert [source.sha256 for source in report.sources] == HASHES


@pytest.mark.parametrize(("name", "options"), [*OUTPUTS, ("net.onnx", {"link": True})])
def test_without_hashes_nothing_is_hashed_and_the_record_says_so(
    tmp_path, sources, monkeypatch, name, options
):
    monkeypatch.setattr(source_hashes, "_sha256", lambda *_: pytest.fail("hashed"))
    monkeypatch.setattr("converters.to_onnx.external_data.hash_of", lambda _: pytest.fail("hashed"))
    report = converters.convert(sources, tmp_path / name, hash_sources=False, **options)
    assert [source.sha256 for source in report.sources] == [None, None]
    assert "the files were not hashed, as asked" in report.notes
    for net in report.files:
        if net.suffix == ".onnx":
            assert [one["sha256"] for one in json.loads(recorded(net)["dsd-zoo.sources"])] == [None, None]
        elif net.suffix == ".py":
            assert net.read_text().count("sha256 not computed, as asked (--no-hash)") == 2


def test_the_tensors_of_a_t7_too(tmp_path, monkeypatch):
    told = converters.convert([TENSORS], tmp_path / "a.safetensors")
    assert told.sources[0].sha256 == hashlib.sha256(TENSORS.read_bytes()).hexdigest()
    monkeypatch.setattr(source_hashes, "_sha256", lambda *_: pytest.fail("hashed"))
    untold = converters.convert([TENSORS], tmp_path / "b.safetensors", hash_sources=False)
    assert untold.sources[0].sha256 is None
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    assert len(safetensors.numpy.load_file(tmp_path / "a.safetensors")) > 10


@pytest.mark.parametrize(("name", "options"), OUTPUTS)
def test_a_source_that_changes_while_it_is_hashed_makes_no_net(tmp_path, sources, monkeypatch, name, options):
    hash_source = source_hashes._sha256

    def changing(path, *arguments):
        digest = hash_source(path, *arguments)
        os.utime(path, ns=(0, 1))
        return digest

    monkeypatch.setattr(source_hashes, "_sha256", changing)
    with pytest.raises(SourceChangedError, match="it was written to"):
        converters.convert(sources, tmp_path / name, **options)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.caffemodel", "net.prototxt"]


def test_a_conversion_that_fails_does_not_wait_for_hashes(tmp_path, sources, monkeypatch):
    ended = []
    monkeypatch.setattr(source_hashes, "_sha256", lambda _, is_ended: ended.append(is_ended.wait(60)))
    with pytest.raises(converters.UsageError, match="no blob"):
        converters.convert(sources, tmp_path / "net.onnx", outputs=["no such blob"])
    for future in ended:
        assert future


def test_a_missing_file_is_named_as_ever(tmp_path, sources):
    with pytest.raises(converters.UsageError, match=r"absent\.caffemodel: no such file"):
        converters.convert([sources[0], tmp_path / "absent.caffemodel"], tmp_path / "net.onnx")


@pytest.mark.parametrize(("name", "options"), [("net.onnx", {}), ("net.onnx", {"external": True})])
def test_large_weights_pass_through_no_memory_of_python(tmp_path, name, options):
    weights = np.ones((1000, 20_000), np.float32)  # 80 MB
    write_caffemodel(tmp_path / "net.caffemodel", {"fc": [weights]})
    (tmp_path / "net.prototxt").write_text(
        'input: "x" input_shape { dim: 1 dim: 20000 } layer { name: "fc" type: "InnerProduct" bottom: "x" '
        'top: "fc" inner_product_param { num_output: 1000 bias_term: false } }'
    )
    sources = [tmp_path / "net.prototxt", tmp_path / "net.caffemodel"]
    converters.convert(sources, tmp_path / name, **options)  # loads the modules
    tracemalloc.start()
    try:
        report = converters.convert(sources, tmp_path / name, **options)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 12 << 20
    assert max(path.stat().st_size for path in report.files) > weights.nbytes
