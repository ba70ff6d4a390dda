"""Files written in pieces, some copied by the system: whole, hashed, unharmed by sources that shrink."""

from __future__ import annotations

import errno
import hashlib
import os
import threading

import pytest

from converters import SourceChangedError, SourceFile
from converters.output_file import OutputFile

CONTENT = bytes(range(256)) * 4096


def unable(*_arguments: object) -> int:
    raise OSError(errno.EXDEV, "two disks")


def nothing(*_arguments: object) -> int:
    return 0


def little(source: int, target: int, size: int, offset: int) -> int:
    return os.write(target, os.pread(source, min(size, 1000), offset))


@pytest.fixture
def source(tmp_path) -> SourceFile:
    (tmp_path / "source").write_bytes(CONTENT)
    return SourceFile(tmp_path / "source")


def hashing_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "hashing"]


@pytest.mark.parametrize("system", [None, unable, nothing, little])
@pytest.mark.parametrize("step", [1, 1000, 1 << 20])
def test_pieces_are_joined_and_hashed_however_the_system_copies(tmp_path, source, monkeypatch, system, step):
    monkeypatch.setattr("converters.output_file._STEP_BYTES", step)
    monkeypatch.setattr("converters.source_files._COPIED_AT_ONCE", 3)
    if system is not None:
        monkeypatch.setattr(os, "copy_file_range", system, raising=False)
    size = 3 * step if step == 1 else 300_000
    with OutputFile(tmp_path / "out", hashed=True) as out:
        out.write(b"head")
        out.copy(source, 5, size)
        out.write(b"")
        out.write(CONTENT[: 2 * step] if step < 1 << 20 else CONTENT)
        out.copy(source, len(CONTENT), 0)
        out.copy(source, len(CONTENT) - 3, 3)
    wanted = (
        b"head" + CONTENT[5 : 5 + size] + (CONTENT[: 2 * step] if step < 1 << 20 else CONTENT) + CONTENT[-3:]
    )
    assert (tmp_path / "out").read_bytes() == wanted
    assert out.size == len(wanted)
    assert out.sha256 == hashlib.sha256(wanted).hexdigest()
    assert not hashing_threads()


def test_where_the_system_has_no_such_call(tmp_path, source, monkeypatch):
    monkeypatch.delattr(os, "copy_file_range", raising=False)
    monkeypatch.delattr(os, "preadv", raising=False)
    with OutputFile(tmp_path / "out") as out:
        out.copy(source, 0, len(CONTENT))
    assert (tmp_path / "out").read_bytes() == CONTENT


@pytest.mark.parametrize("system", [None, unable])
def test_a_source_that_got_shorter_is_an_error(tmp_path, source, monkeypatch, system):
    if system is not None:
        monkeypatch.setattr(os, "copy_file_range", system, raising=False)
    os.truncate(source.path, 1000)
    with (
        pytest.raises(SourceChangedError, match=r"source: the file was changed .* byte 1,000 of"),
        OutputFile(tmp_path / "out", hashed=True) as out,
    ):
        out.copy(source, 0, len(CONTENT))
    assert not hashing_threads()


def test_a_full_disk_is_no_reason_to_copy_in_another_way(tmp_path, source, monkeypatch):
    def full(*_arguments: object) -> int:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "copy_file_range", full, raising=False)
    with pytest.raises(OSError, match="full"), OutputFile(tmp_path / "out", hashed=True) as out:
        out.copy(source, 0, 10)
    assert not hashing_threads()


def test_a_file_that_loses_bytes_meanwhile_has_no_hash(tmp_path):
    with OutputFile(tmp_path / "out", hashed=True) as out:
        out._hashing.advance(10)
        out.write(b"12345")
    with pytest.raises(OSError, match="are there, of"):
        _ = out.sha256
