"""Large files are hashed from the moment a command knows their names: once, and never other bytes."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import runner

import converters
from zoo.bundled import bundled_folder
from zoo.catalog.catalog import Catalog
from zoo.errors import UsageError
from zoo.store import digests, hashing_ahead, subject
from zoo.store.cache import Cache
from zoo.store.hashing_ahead import HashesAhead

DIGITS = bundled_folder() / "digits" / "caffe"


@pytest.fixture
def net(tmp_path, monkeypatch):
    """The two files of a net, as large as files need be."""
    monkeypatch.setattr(hashing_ahead, "MIN_BYTES", 1)
    return [Path(shutil.copy(DIGITS / name, tmp_path)) for name in ("train_val.prototxt", "dsd.caffemodel")]


@pytest.fixture
def reads(monkeypatch):
    """The files that are read to be hashed, in order."""
    found = []
    read_chunks = digests.read_chunks

    def counted(path):
        found.append(path)
        return read_chunks(path)

    monkeypatch.setattr(digests, "read_chunks", counted)
    return found


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def found_subject(net, tmp_path, ahead):
    return subject.find_subject(net, Catalog.load(), Cache(tmp_path / "cache"), ahead)


def test_the_hashes_are_those_of_the_files(net):
    ahead = HashesAhead([*net, "squeezenet-v1.0", net[0].parent, "\0"])
    for path in net:
        content = path.read_bytes()
        assert {kind: hashing.result() for kind, hashing in ahead.of(path).items()} == {
            "sha256": hashlib.sha256(content).hexdigest(),
            "sha1": hashlib.sha1(content).hexdigest(),
        }
    assert ahead.of(net[0].parent) == {}


def test_small_files_are_left_to_whoever_needs_their_hash(net, reads, monkeypatch):
    monkeypatch.setattr(hashing_ahead, "MIN_BYTES", net[1].stat().st_size)
    ahead = HashesAhead(net)
    assert ahead.of(net[0]) == {}
    assert ahead.of(net[1])["sha256"].result() == sha256(net[1])
    assert reads == [net[1]]


def test_a_file_is_read_once_for_all_that_is_asked(net, reads, tmp_path):
    found = found_subject(net, tmp_path, HashesAhead(net))
    assert found.hashes == {path.name: sha256(path) for path in net}
    recognized = found.recognize()
    assert [one.hashes["sha256"] for one in recognized] == [sha256(path) for path in net]
    assert recognized[1].hashes.keys() >= {"sha256", "sha1"}  # weights of unknown size are on record
    # Once more only for what is not computed ahead: small weights may be known by their git blob alone.
    for one in recognized:
        assert reads.count(one.path) == 1 + bool(one.hashes.keys() - {"sha256", "sha1"})


def test_nets_that_are_on_no_record_are_hashed_once(net, reads):
    onnx = net[1].rename(net[1].with_suffix(".onnx"))
    ahead = HashesAhead([onnx])
    assert {kind: hashing.result() for kind, hashing in ahead.of(onnx).items()} == {"sha256": sha256(onnx)}


def test_convert_writes_the_same_with_and_without(net, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DSD_ZOO_CACHE", str(tmp_path / "cache"))
    dsd_zoo = runner(monkeypatch, capsys)
    assert dsd_zoo("convert", *net, "-o", tmp_path / "ahead.onnx").code == 0
    monkeypatch.setattr(hashing_ahead, "MIN_BYTES", 1 << 40)
    assert dsd_zoo("convert", *net, "-o", tmp_path / "plain.onnx").code == 0
    assert (tmp_path / "ahead.onnx").read_bytes() == (tmp_path / "plain.onnx").read_bytes()


def test_no_hash_reads_nothing_ahead(net, reads, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DSD_ZOO_CACHE", str(tmp_path / "cache"))
    ended = runner(monkeypatch, capsys)(
        "convert", *net, "-o", tmp_path / "net.onnx", "--link", "--no-hash", "--json"
    )
    assert ended.code == 0, ended.err
    assert [source["sha256"] for source in json.loads(ended.out)["sources"]] == [None, None]
    assert reads == []


def test_a_file_that_changes_after_it_was_hashed_ahead_is_refused(net, tmp_path):
    ahead = HashesAhead(net)
    for path in net:
        ahead.of(path)["sha256"].result()
    found = found_subject(net, tmp_path, ahead)
    with net[1].open("r+b") as file:
        file.truncate(net[1].stat().st_size - 1)
    for state in found.states[:1]:
        state.check()
    with pytest.raises(converters.SourceChangedError, match=r"dsd\.caffemodel"):
        found.states[1].check()


def test_what_is_wrong_with_a_file_is_said_where_its_hash_is_asked_for(net, monkeypatch):
    monkeypatch.setattr(digests, "read_chunks", lambda path: iter([path.read_bytes(), b"more"]))
    ahead = HashesAhead(net)
    with pytest.raises(UsageError, match=r"dsd\.caffemodel: had .* it is being written"):
        ahead.of(net[1])["sha256"].result()


def test_a_command_that_fails_does_not_wait(net, tmp_path):
    """The thread is still reading (it would for ever) when the process ends."""
    program = (
        "import time\n"
        "from zoo.store import digests, hashing_ahead\n"
        "hashing_ahead.MIN_BYTES = 1\n"
        "digests.read_chunks = lambda path: iter(lambda: time.sleep(0.01) or b'x', None)\n"
        f"hashing_ahead.HashesAhead([{str(net[0])!r}])\n"
        "raise SystemExit(7)\n"
    )
    assert subprocess.run([sys.executable, "-c", program], cwd=tmp_path, timeout=60).returncode == 7
