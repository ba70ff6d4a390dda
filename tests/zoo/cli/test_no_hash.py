"""`convert --no-hash`, and what every command says afterwards of weights that were not hashed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest
from command_line import runner

import converters
from zoo.bundled import bundled_folder, embedded_images
from zoo.store import digests

DIGITS = bundled_folder() / "digits"
IMAGES = ["--data", embedded_images("digits-test"), "--limit", 4, "--flavour", "caffe-warp36", "--crop", 32]
SAYS = "cannot be verified: it was not hashed"


@pytest.fixture
def dsd_zoo(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("DSD_ZOO_CACHE", str(tmp_path / "cache"))
    return runner(monkeypatch, capsys)


@pytest.fixture
def linked(dsd_zoo, tmp_path, monkeypatch):
    """A net linked to a copy of the caffemodel, made without hashing anything."""
    folder = tmp_path / "net"
    folder.mkdir()
    names = ("train_val.prototxt", "dsd.caffemodel")
    sources = [shutil.copy(DIGITS / "caffe" / name, folder) for name in names]
    with monkeypatch.context() as patched:
        patched.setattr(digests, "read_chunks", lambda path: pytest.fail(f"hashed {path}"))
        ended = dsd_zoo("convert", *sources, "-o", folder / "net.onnx", "--link", "--no-hash", "--json")
    assert ended.code == 0, ended.err
    told = json.loads(ended.out)
    assert [source["sha256"] for source in told["sources"]] == [None, None]
    assert told["known"]["model"] is None
    assert told["known"]["files"] == []
    assert "the files were not hashed, as asked" in told["notes"]
    return folder / "net.onnx"


def commands(net, *more):
    out = net.parent / "out"
    return {
        "inspect": ["inspect", net, *more],
        "convert": ["convert", net, "-o", out / "other.onnx", *more],
        "compare": ["compare", net, f"{net.parent / 'train_val.prototxt'},{net.parent / 'whole'}", *more],
        "validate": ["validate", net, *IMAGES, "--out", out / f"run{len(more)}", *more],
    }


@pytest.mark.filterwarnings("always::converters.UnverifiedWarning")
def test_every_command_says_that_it_was_not_hashed_and_goes_on(dsd_zoo, linked):
    weights = linked.parent / "dsd.caffemodel"
    shutil.copy(weights, linked.parent / "whole")
    for name, line in commands(linked).items():
        ended = dsd_zoo(*line)
        assert (name, ended.code) == (name, 0), ended.err
        assert SAYS not in ended.err, name  # unchanged by its time, size and sample
    for name, line in commands(linked, "--verify").items():
        ended = dsd_zoo(*line)
        assert (name, ended.code) == (name, 0), ended.err
        assert f"dsd-zoo: warning: {weights}: {SAYS}" in ended.err, name
    os.utime(weights, ns=(0, 1))
    shutil.rmtree(linked.parent / "out")
    for name, line in commands(linked).items():
        ended = dsd_zoo(*line)
        assert (name, ended.code) == (name, 0), ended.err
        assert f"dsd-zoo: warning: {weights}: {SAYS}" in ended.err, name


def test_other_weights_are_still_an_error(linked):
    weights = linked.parent / "dsd.caffemodel"
    content = weights.read_bytes()
    for other in (content[:-1], content[:-1] + bytes([content[-1] ^ 1])):
        weights.write_bytes(other)
        with pytest.raises(converters.FormatError, match="not the weights that"):
            converters.external_files(linked)


def test_the_embedded_model_by_name_too(dsd_zoo, tmp_path, monkeypatch):
    monkeypatch.setattr("zoo.store.subject.hash_file", lambda path, *_: pytest.fail(f"hashed {path}"))
    ended = dsd_zoo("convert", "digits-caffe-dsd", "-o", tmp_path / "net.onnx", "--no-hash")
    assert ended.code == 0, ended.err
    found = converters.metadata_of(tmp_path / "net.onnx")
    assert [one["sha256"] for one in json.loads(found["dsd-zoo.sources"])] == [None, None]
    assert "dsd-zoo.claims" in found


def test_validate_of_an_onnx_loads_neither_the_readers_nor_onnx(tmp_path):
    converters.convert(
        [DIGITS / "torch7" / "dsd.t7"], tmp_path / "net.onnx"
    )  # a net with LRN is rewritten by onnx
    program = (
        "import sys\n"
        "from zoo.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit as ended:\n    assert not ended.code, ended.code\n"
        "heavy = 'onnx onnx_ir google.protobuf sympy torch scipy pandas matplotlib converters.reading '\n"
        "heavy += 'converters.graph converters.from_caffe converters.to_onnx converters.to_pytorch'\n"
        "print([name for name in heavy.split() if name in sys.modules], file=sys.stderr)\n"
    )
    options = [*map(str, IMAGES[:4]), "--flavour", "torch7-bicubic36", "--crop", "32", "--mean", "none"]
    ended = subprocess.run(
        [sys.executable, "-c", program, "validate", "net.onnx", *options, "--out", "run"],
        cwd=tmp_path,
        env={**os.environ, "DSD_ZOO_CACHE": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.splitlines()[-1] == "[]"
