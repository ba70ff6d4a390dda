"""A command hashes each file of a net once, and reads the net once: counted, not timed."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from command_line import runner
from corpus_cases import CORPUS

import converters
from converters import reading, source_hashes
from converters.from_torch7 import reader
from zoo.bundled import bundled_folder
from zoo.demo import run_demo
from zoo.store import digests

DIGITS = bundled_folder() / "digits"
CAFFE = [DIGITS / "caffe" / name for name in ("train_val.prototxt", "dsd.caffemodel")]
BASELINE = [DIGITS / "caffe" / name for name in ("deploy.prototxt", "baseline.caffemodel")]
OPTIONS = ["--data", DIGITS / "images" / "test_images.tar", "--flavour", "caffe-warp36"]
LUA = ["--data", DIGITS / "images" / "test_images.tar", "--flavour", "torch7-bicubic36", "--crop", 32]


@dataclass
class Counts:
    """How often each file was hashed, and which nets were read, since the last `take`."""

    hashed: Counter[Path] = field(default_factory=Counter)
    read: list[list[Path]] = field(default_factory=list)

    def take(self, sources: list[Path]) -> tuple[list[int], list[list[Path]]]:
        found = [self.hashed[source] for source in sources], list(self.read)
        self.hashed.clear()
        self.read.clear()
        return found


@pytest.fixture
def counts(monkeypatch) -> Counts:
    counts = Counts()
    file_digest, read_chunks, read = hashlib.file_digest, digests.read_chunks, reading.read
    hash_of = source_hashes.hash_of

    def counted_digest(file, *arguments):
        counts.hashed[Path(file.name)] += 1
        return file_digest(file, *arguments)

    def counted_chunks(path):
        counts.hashed[path] += 1
        return read_chunks(path)

    def counted_hash(file, *arguments):
        counts.hashed[file.path] += 1
        return hash_of(file, *arguments)

    def counted_read(sources, *arguments, **options):
        counts.read.append(list(sources))
        return read(sources, *arguments, **options)

    monkeypatch.setattr(hashlib, "file_digest", counted_digest)
    monkeypatch.setattr(digests, "read_chunks", counted_chunks)
    monkeypatch.setattr(source_hashes, "hash_of", counted_hash)
    monkeypatch.setattr(reading, "read", counted_read)
    return counts


@pytest.fixture
def dsd_zoo(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DSD_ZOO_CACHE", str(tmp_path / "cache"))
    return runner(monkeypatch, capsys)


@pytest.mark.parametrize("runtime", ["onnx", "pytorch"])
@pytest.mark.parametrize(
    ("command", "sources", "options"),
    [
        ("validate", CAFFE, OPTIONS),
        ("validate", [DIGITS / "torch7" / "dsd.t7"], LUA),
        ("bench", CAFFE, [*OPTIONS, "--seconds", "0.1"]),
    ],
)
def test_files_are_hashed_once_and_read_only_when_cold(dsd_zoo, counts, command, sources, options, runtime):
    line = [command, *sources, *options, "--runtime", runtime]
    assert dsd_zoo(*line).code == 0
    assert counts.take(sources) == ([1] * len(sources), [sources])
    assert dsd_zoo(*line).code == 0
    assert counts.take(sources) == ([1] * len(sources), [])


def test_a_model_is_hashed_once_and_read_only_when_cold(dsd_zoo, counts):
    for reads in ([CAFFE], []):
        assert dsd_zoo("validate", "digits-caffe-dsd").code == 0
        assert counts.take(CAFFE) == ([1, 1], reads)


def test_a_net_that_needs_no_conversion_is_hashed_once(dsd_zoo, counts, tmp_path):
    net = tmp_path / "own.onnx"
    converters.convert(CAFFE, net)
    counts.take([])
    for _ in range(2):
        assert dsd_zoo("validate", net, *OPTIONS).code == 0
        assert counts.take([net]) == ([1], [[net]])
    for reads in ([[net]], []):
        assert dsd_zoo("validate", net, *OPTIONS, "--runtime", "pytorch").code == 0
        assert counts.take([net]) == ([1], reads)


def test_other_commands_hash_and_read_once_too(dsd_zoo, counts, tmp_path):
    assert dsd_zoo("convert", *CAFFE, "-o", "net").code == 0
    assert counts.take(CAFFE) == ([1, 1], [CAFFE])
    assert dsd_zoo("compare", ",".join(map(str, CAFFE)), "net/net.onnx").code == 0
    assert counts.take(CAFFE) == ([1, 1], [CAFFE, [Path("net/net.onnx")]])
    assert dsd_zoo("inspect", *CAFFE).code == 0
    assert counts.take(CAFFE) == ([1, 1], [])
    for name in ("verify", "add"):
        dsd_zoo(name, CAFFE[1])
        assert counts.take(CAFFE[1:]) == ([1], [])
    assert dsd_zoo("pack", "--data", OPTIONS[1], "-o", "packed.dsd").code == 0
    assert counts.take([OPTIONS[1]]) == ([0], [])


def test_a_torch7_net_without_a_size_is_hashed_and_read_once(dsd_zoo, counts):
    """Only reading it shows that it needs a size."""
    net = CORPUS / "torch7-models" / "nin-like" / "net.t7"
    line = ["validate", net, *LUA[:2], "--flavour", "torch7-bicubic256", "--crop", 224, "--limit", 1]
    for reads in ([[net]], []):
        assert dsd_zoo(*line).code == 0
        assert counts.take([net]) == ([1], reads)


def test_a_torch7_file_is_read_once_even_if_the_net_is_converted_again(monkeypatch):
    opened = []
    read = reader.read
    monkeypatch.setattr(reader, "read", lambda path: opened.append(path) or read(path))
    net = CORPUS / "torch7-models" / "nin-like" / "net.t7"
    assert converters.load(net, image_shape=(3, 224, 224)).meta["image_shape_used"]
    assert opened == [net]


@pytest.mark.parametrize(
    ("model", "sources"),
    [("digits-caffe-baseline", BASELINE), ("digits-torch7-baseline", [DIGITS / "torch7" / "baseline.t7"])],
)
def test_verify_hashes_and_reads_each_source_once(dsd_zoo, counts, model, sources):
    for _ in range(2):
        assert dsd_zoo("verify", model).code == 0
        assert counts.take(sources) == ([1] * len(sources), [sources])


def test_verify_reads_model_and_baseline_once_each(dsd_zoo, counts):
    assert dsd_zoo("verify", "digits-caffe-dsd").code == 0
    assert counts.take(CAFFE) == ([1, 1], [CAFFE, BASELINE])


def test_demo_reads_each_net_once_for_both_forms(counts, tmp_path):
    run_demo(tmp_path, lambda line: None)
    _, reads = counts.take([])
    assert len(reads) == 6
    assert len({tuple(sources) for sources in reads}) == 6
