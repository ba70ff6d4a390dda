"""Files that are truncated, rewritten or replaced while they are read: a named error, and no SIGBUS."""

from __future__ import annotations

import itertools
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from corpus_cases import CORPUS
from untouchable_memory import outcome

import converters
from converters import FileState, FileView, SourceChangedError, SourceFile, source_files


def truncate(path: Path) -> None:
    os.truncate(path, 64)


def rewrite(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    os.utime(path, ns=(0, 1))


def replace(path: Path) -> None:
    """By another file of the same size and time."""
    shutil.copy2(path, path.with_name("other"))
    path.with_name("other").replace(path)


def remove(path: Path) -> None:
    path.unlink()


CHANGES = {
    truncate: r"it had \d+ bytes and has 64",
    rewrite: "it was written to",
    replace: "another file took its place",
    remove: "it cannot be found any more",
}


@pytest.fixture
def file(tmp_path) -> Path:
    (tmp_path / "file").write_bytes(bytes(range(256)))
    return tmp_path / "file"


@pytest.mark.parametrize("change", CHANGES)
def test_the_error_names_the_file_and_what_changed(file, change):
    state = FileState.of(file)
    state.check()
    change(file)
    with pytest.raises(SourceChangedError, match=rf"file: the file was changed while .*: {CHANGES[change]}"):
        state.check()


@pytest.mark.parametrize("size", [1, 1000], ids=["mapped", "in memory"])
def test_an_open_file(file, monkeypatch, size):
    monkeypatch.setattr(source_files, "MAPPED_FROM_BYTES", size)
    opened = SourceFile(file)
    assert opened.is_mapped == (size == 1)
    assert bytes(opened.data) == bytes(opened.view[:]) == opened.read() == bytes(range(256))
    assert opened.offset_of(opened.data[10:20]) == 10
    assert opened.offset_of(opened.data[20:10:-1]) == 11
    assert opened.offset_of(np.zeros(3)) is None
    assert not opened.data.flags.writeable
    replace(file)
    opened.check_content()
    truncate(file)
    opened.check_content()  # the file that is open has lost its name, not its content
    with pytest.raises(SourceChangedError):
        opened.check()


def test_a_read_beyond_a_new_end(file):
    opened = SourceFile(file)
    truncate(file)
    assert opened.read(0, 64) == bytes(range(64))
    with pytest.raises(SourceChangedError, match=r"byte 64 of 256 is gone"):
        opened.read()
    with pytest.raises(SourceChangedError, match="it had 256 bytes and has 64"):
        opened.check_content()


def test_a_view_behaves_like_a_memoryview(tmp_path, monkeypatch):
    monkeypatch.setattr(source_files, "_BLOCK_BYTES", 7)
    content = np.random.default_rng(0).bytes(100)
    (tmp_path / "file").write_bytes(content)
    file = SourceFile(tmp_path / "file")
    view, wanted = FileView(file, 0, 100), memoryview(content)
    for start, stop in itertools.product([0, 3, 50, 96, 100, 200, -5, None], repeat=2):
        assert view[start:stop] == wanted[start:stop]
        assert view.part(10, 80)[start:stop] == wanted[10:90][start:stop]
    assert [view[k] for k in range(len(view))] == list(content)
    assert bytes(view.part(10, 5).data) == content[10:15]
    with pytest.raises(IndexError):
        view[100]


# Read as if it were large, so that it is mapped: the sources by the form that they are written in.
SOURCES = {
    "caffemodel": ["caffe/arch-alexnet/net.prototxt", "caffe/arch-alexnet/net.caffemodel"],
    "caffemodel with scaling": ["caffe/arch-densenet/net.prototxt", "caffe/arch-densenet/net.caffemodel"],
    "caffemodel of doubles": ["caffe/wire-double/net.prototxt", "caffe/wire-double/net.caffemodel"],
    "caffemodel, each value with its tag": [
        "caffe/wire-double-unpacked/net.prototxt",
        "caffe/wire-double-unpacked/net.caffemodel",
    ],
    "t7": ["torch7-models/resnet18-thin/net.t7"],
    "t7 of halves": ["torch7/half_linear/net.t7"],
}


@pytest.mark.parametrize(
    ("sources", "out"),
    [
        *((sources, "out.onnx") for sources in SOURCES),
        ("caffemodel", "out.py"),
        ("caffemodel with scaling", "folded.onnx"),
        ("t7", "linked.onnx"),
    ],
)
def test_a_large_source_that_is_cut_off_at_any_read_is_an_error(tmp_path, monkeypatch, sources, out):
    monkeypatch.setattr(source_files, "MAPPED_FROM_BYTES", 1)
    names = [shutil.copy(CORPUS / name, tmp_path) for name in SOURCES[sources]]
    path, read = Path(names[-1]), SourceFile._read_some
    original = path.read_bytes()
    options = {"linked.onnx": {"link": True}, "folded.onnx": {"fold": True}}.get(out, {})
    # Once here, so that not every child imports everything.
    for written in converters.convert(names, tmp_path / out, **options).files:
        written.unlink()
    steps = 0

    def convert_and_cut_off(before: int) -> None:
        def cut_off(file: SourceFile, size: int, offset: int) -> bytes:
            nonlocal steps
            steps += 1
            if steps == before:
                os.truncate(path, 100)
            return read(file, size, offset)

        monkeypatch.setattr(SourceFile, "_read_some", cut_off)
        converters.convert(names, tmp_path / out, **options)
        if steps < before:
            raise EOFError

    seen = []
    for before in itertools.chain(range(1, 8), range(8, 700, 61)):
        path.write_bytes(original)
        seen.append(outcome(lambda before=before: convert_and_cut_off(before)))
        if seen[-1].startswith("EOFError"):
            break
        assert {found.name for found in tmp_path.iterdir()} == {Path(name).name for name in names}
        assert f"{path}: the file was changed while it was read" in seen[-1]
    assert len(seen) > 1


def test_an_hdf5_file_that_is_cut_off_while_its_values_are_read_is_an_error(tmp_path, monkeypatch):
    from converters.from_caffe.weights import hdf5

    names = [shutil.copy(found, tmp_path) for found in sorted((CORPUS / "caffe/h5-basic").glob("net.*"))]
    path = next(Path(name) for name in names if "h5" in Path(name).suffix)
    names = [name for name in names if name.endswith(".prototxt") or name == str(path)]
    converters.convert(names, tmp_path / "out.onnx")
    (tmp_path / "out.onnx").unlink()
    values = hdf5._Reader._values

    def cut_off(reader, dataset, place):
        os.truncate(path, 200)
        return values(reader, dataset, place)

    def convert() -> None:
        monkeypatch.setattr(hdf5._Reader, "_values", cut_off)
        converters.convert(names, tmp_path / "out.onnx")

    seen = outcome(convert)
    assert str(path) in seen
    assert seen.startswith(("SourceChangedError", "FormatError")), seen
    assert not (tmp_path / "out.onnx").exists()
