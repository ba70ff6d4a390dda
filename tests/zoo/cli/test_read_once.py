"""A command hashes each file of a net once, and reads it once: counted, not timed.

A file is hashed by one pass over all of it. It is read where its content is taken in: the text of a
definition, the bytes of weights and of a .t7, the graph of an .onnx. What a file is, its first bytes tell;
and what runs an .onnx opens the file itself.
"""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import onnx_ir
import pytest
from command_line import runner
from corpus_cases import CORPUS
from small_training import SHORT_RECIPE

import converters
from converters import reading, source_hashes
from converters.from_torch7 import reader
from zoo.bundled import bundled_folder
from zoo.cli.command import all_commands
from zoo.demo import run_demo
from zoo.store import digests

DIGITS = bundled_folder() / "digits"
CAFFE = [DIGITS / "caffe" / name for name in ("train_val.prototxt", "dsd.caffemodel")]
BASELINE = [DIGITS / "caffe" / name for name in ("deploy.prototxt", "baseline.caffemodel")]
OPTIONS = ["--data", DIGITS / "images" / "test_images.tar", "--flavour", "caffe-warp36"]
LUA = [
    "--data",
    DIGITS / "images" / "test_images.tar",
    "--flavour",
    "torch7-bicubic36",
    "--crop",
    32,
    "--mean",
    0,
]


@dataclass
class Counts:
    """How often each file was hashed and read, and which nets were loaded, since the last `take`."""

    hashed: Counter[Path] = field(default_factory=Counter)
    contents: Counter[Path] = field(default_factory=Counter)
    read: list[list[Path]] = field(default_factory=list)

    def take(self, sources: list[Path]) -> tuple[list[int], list[list[Path]]]:
        found = [self.hashed[source] for source in sources], list(self.read)
        self.clear()
        return found

    def take_each(self, sources: list[Path]) -> list[tuple[int, int]]:
        """(how often hashed, how often read) of each file, since the last `take`."""
        found = [(self.hashed[source], self.contents[source]) for source in sources]
        self.clear()
        return found

    def clear(self) -> None:
        for counted in (self.hashed, self.contents, self.read):
            counted.clear()


@pytest.fixture
def counts(monkeypatch) -> Counts:
    counts = Counts()
    file_digest, read_chunks, read = hashlib.file_digest, digests.read_chunks, reading.read
    hash_source = source_hashes._sha256
    opened, read_bytes, load_onnx = converters.SourceFile.__init__, Path.read_bytes, onnx_ir.load

    def counted_digest(file, *arguments):
        counts.hashed[Path(file.name)] += 1
        return file_digest(file, *arguments)

    def counted_chunks(path):
        counts.hashed[path] += 1
        return read_chunks(path)

    def counted_hash(path, *arguments):
        counts.hashed[path] += 1
        return hash_source(path, *arguments)

    def counted_read(sources, *arguments, **options):
        counts.read.append(list(sources))
        return read(sources, *arguments, **options)

    def counted_opening(file, path):
        counts.contents[path] += path.suffix != ".onnx"
        opened(file, path)

    def counted_bytes(path):
        counts.contents[path] += 1
        return read_bytes(path)

    def counted_onnx(path, *arguments):
        counts.contents[Path(path)] += 1
        return load_onnx(path, *arguments)

    monkeypatch.setattr(converters.SourceFile, "__init__", counted_opening)
    monkeypatch.setattr(Path, "read_bytes", counted_bytes)
    monkeypatch.setattr(onnx_ir, "load", counted_onnx)
    monkeypatch.setattr(hashlib, "file_digest", counted_digest)
    monkeypatch.setattr(digests, "read_chunks", counted_chunks)
    monkeypatch.setattr(source_hashes, "_sha256", counted_hash)
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
        assert counts.take([net]) == ([1], [])
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
    line = ["validate", net, *LUA[:2], "--flavour", "torch7-bicubic256", "--crop", 224, "--mean", 0]
    line += ["--limit", 1]
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


TORCH7 = [DIGITS / "torch7" / "dsd.t7"]
OWN, PROGRAM, IMAGE = Path("own.onnx"), Path("program.py"), Path("000.png")
PREPARED = ["--flavour", "caffe-warp36", "--crop", 32, "--mean", 0]
TRAINING = ["--data", ".", "--test", ".", "--recipe", "short.toml", "--flavour", "caffe-warp36"]
# Command, its arguments, and the files that they lead to. Each is hashed once, and read at most once.
ROWS = [
    ("bench", [*CAFFE, *OPTIONS, "--seconds", 0.1], CAFFE),
    ("bench", ["--train", *CAFFE, "--data", ".", *TRAINING[4:], "--seconds", 0.1], CAFFE),
    ("compare", [",".join(map(str, CAFFE)), OWN], [*CAFFE, OWN]),
    ("convert", [*CAFFE, "-o", "net"], CAFFE),
    ("convert", [CAFFE[1], "-o", "net"], CAFFE[1:]),
    ("convert", [*TORCH7, "-o", "net.onnx"], TORCH7),
    ("convert", [OWN, "-o", "net.py"], [OWN]),
    ("inspect", CAFFE, CAFFE),
    ("inspect", CAFFE[1:], CAFFE[1:]),
    ("inspect", ["digits-torch7-dsd"], TORCH7),
    ("inspect", [OWN], [OWN]),
    ("inspect", ["--weights", ",".join(map(str, CAFFE)), "digits-caffe-baseline"], [*CAFFE, *BASELINE]),
    ("predict", [*CAFFE, IMAGE, *PREPARED], CAFFE),
    ("predict", ["digits-torch7-dsd", IMAGE], TORCH7),
    ("predict", [OWN, IMAGE, *PREPARED], [OWN]),
    ("publish", ["digits-caffe-dsd", "-o", "published"], CAFFE),
    ("publish", ["digits-torch7-dsd", "-o", "published"], TORCH7),
    ("rescue", [PROGRAM, "-o", "rescued"], [*CAFFE, *TORCH7]),
    ("train", ["digits-caffe-dsd", *TRAINING], CAFFE),
    ("train", [*CAFFE, *TRAINING], CAFFE),
    ("train", [CAFFE[0], *TRAINING], CAFFE[:1]),
    ("train", [OWN, *TRAINING, "--crop", 32, "--mean", 0], [OWN]),
    ("validate", [*CAFFE, *OPTIONS], CAFFE),
    ("validate", ["digits-caffe-dsd", "digits-caffe-baseline"], [*CAFFE, *BASELINE]),
    ("validate", [*CAFFE, *OPTIONS, "--runtime", "fastest", "--limit", 20], CAFFE),
    ("validate", ["digits-caffe-dsd", "--sensitivity", "--limit", 20], CAFFE),
    ("validate", [OWN, *OPTIONS, "--crop", 32, "--mean", 0], [OWN]),
    ("verify", ["digits-caffe-dsd"], CAFFE),
    ("verify", ["digits-torch7-dsd"], TORCH7),
]
# Commands that open no net: of its files they look at sizes and hashes, if at any of it.
NOT_ABOUT_NETS = {
    *("add", "audit", "doctor", "export-cache", "fetch", "import-cache", "list", "pack", "report", "schema"),
    "show",
}
# `test_demo_reads_each_net_once_for_both_forms` is about it.
BY_ITSELF = {"demo"}


@pytest.fixture
def files(tmp_path, monkeypatch):
    """What the rows name: images of ten classes, a recipe, a net of the user's own, a program with a net."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    for k in range(20):
        image = random.integers(0, 256, (36, 36, 3), np.uint8)
        Path(f"{k:03}.png").write_bytes(cv2.imencode(".png", image)[1].tobytes())
    Path("labels.txt").write_text("".join(f"{k:03}.png {k % 10}\n" for k in range(20)))
    Path("short.toml").write_text(SHORT_RECIPE)
    converters.convert(CAFFE, OWN)
    PROGRAM.write_text(
        f"import cv2\na = cv2.dnn.readNetFromCaffe({str(CAFFE[0])!r}, {str(CAFFE[1])!r})\n"
        f"b = cv2.dnn.readNetFromTorch({str(TORCH7[0])!r})\n"
    )


def test_there_is_a_row_for_every_command():
    assert {command for command, _, _ in ROWS} | NOT_ABOUT_NETS | BY_ITSELF == set(all_commands())


@pytest.mark.parametrize(
    ("command", "arguments", "sources"), ROWS, ids=[f"{k} {row[0]}" for k, row in enumerate(ROWS)]
)
def test_a_command_hashes_and_reads_each_file_once(dsd_zoo, files, counts, command, arguments, sources):
    counts.clear()
    for _ in ("cold", "warm"):
        ended = dsd_zoo(command, *arguments)
        assert ended.code == 0, ended.err
        found = dict(zip(sources, counts.take_each(sources), strict=True))
        assert all(max(counted) == 1 for counted in found.values()), found
        for written in ("runs", "results"):
            shutil.rmtree(written, ignore_errors=True)
