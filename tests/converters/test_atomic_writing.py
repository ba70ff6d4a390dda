"""Files that are written whole or not at all, alone and in groups."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from stopped_processes import killed_before

from converters import UsageError, atomic_write, atomic_write_group

NAMES = ["net.onnx", "net.safetensors"]


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def write_and_fail(path: Path) -> None:
    path.write_text("half")
    raise RuntimeError


def test_a_file_appears_only_when_it_is_whole(tmp_path):
    path = tmp_path / "result.json"
    path.write_text("old")
    with atomic_write(path) as temporary:
        temporary.write_text("new")
        assert tmp_path in temporary.parents  # on the same disk, so that the move is one step
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert names_in(tmp_path) == {"result.json"}


def test_a_failure_leaves_the_file_that_was_there(tmp_path):
    path = tmp_path / "result.json"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic_write(path) as temporary:
        write_and_fail(temporary)
    assert path.read_text() == "old"
    assert names_in(tmp_path) == {"result.json"}


def test_what_a_killed_process_left_is_removed(tmp_path):
    path = tmp_path / ("a" * 255)

    def write() -> None:
        with atomic_write(path) as temporary:
            temporary.write_text("half")
            (tmp_path / "mark").touch()
            temporary.write_text("whole")

    # Killed before the rename.
    assert killed_before(2, write)
    assert names_in(tmp_path) > {"mark"}
    assert not path.exists()
    with atomic_write(tmp_path / "another") as temporary:
        temporary.touch()
    assert names_in(tmp_path) == {"mark", "another"}


def write_twice(path: Path, first: Path) -> None:
    first.write_text("first")
    with (
        pytest.raises(OSError, match="another process is writing the same file"),
        atomic_write(path) as second,
    ):
        second.write_text("second")
    with atomic_write(path.with_name("other.json")) as other:
        other.touch()


def test_of_two_processes_that_write_the_same_file_the_second_is_refused(tmp_path):
    path = tmp_path / "result.json"
    with atomic_write(path) as first:
        write_twice(path, first)
    assert path.read_text() == "first"
    assert names_in(tmp_path) == {"result.json", "other.json"}


def test_a_link_stays_and_its_target_is_replaced(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "result.json"
    link.symlink_to(tmp_path / "elsewhere" / "real.json")
    with atomic_write(link) as temporary:
        temporary.write_text("new")
        assert tmp_path / "elsewhere" in temporary.parents
    assert link.is_symlink()
    assert (tmp_path / "elsewhere" / "real.json").read_text() == "new"


@pytest.mark.parametrize("path", [os.devnull, "."])
def test_devices_and_folders_are_refused(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OSError, match="not a regular file"), atomic_write(Path(path)):
        pass
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)


def test_a_missing_folder_is_an_oserror(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "missing" / "a.json") as temporary:
        temporary.touch()


def test_a_group_appears_together_and_creates_its_folder(tmp_path):
    folder = tmp_path / "new" / "folder"
    with atomic_write_group(folder, NAMES) as temporary:
        for name in NAMES:
            (temporary / name).write_text(name)
        assert names_in(folder) == {temporary.name}
    assert {name: (folder / name).read_text() for name in NAMES} == {name: name for name in NAMES}
    assert names_in(folder) == set(NAMES)


def write_all_but(missing: str, folder: Path) -> None:
    for name in NAMES:
        if name != missing:
            (folder / name).write_text("new")


@pytest.mark.parametrize("missing", NAMES)
def test_a_group_that_fails_leaves_what_was_there(tmp_path, missing):
    (tmp_path / "net.onnx").write_text("old")
    with (
        pytest.raises(UsageError, match="cannot be written"),
        atomic_write_group(tmp_path, NAMES) as temporary,
    ):
        write_all_but(missing, temporary)
    assert names_in(tmp_path) == {"net.onnx"}
    assert (tmp_path / "net.onnx").read_text() == "old"


def test_a_single_file_is_never_missing_while_it_is_replaced(tmp_path, monkeypatch):
    path = tmp_path / "net.onnx"
    path.write_text("old")
    seen = []
    replace = Path.replace
    monkeypatch.setattr(Path, "replace", lambda *both: seen.append(path.exists()) or replace(*both))
    with atomic_write_group(tmp_path, ["net.onnx"]) as temporary:
        (temporary / "net.onnx").write_text("new")
    assert seen == [True]
    assert path.read_text() == "new"


def test_a_single_file_that_cannot_be_moved_leaves_the_old_one(tmp_path):
    (tmp_path / "net.onnx").write_text("old")
    with pytest.raises(UsageError, match="cannot be written"), atomic_write_group(tmp_path, ["net.onnx"]):
        pass
    assert (tmp_path / "net.onnx").read_text() == "old"
    assert names_in(tmp_path) == {"net.onnx"}


def test_a_folder_that_was_created_for_nothing_is_removed(tmp_path):
    with pytest.raises(RuntimeError), atomic_write_group(tmp_path / "new", NAMES):
        raise RuntimeError
    assert names_in(tmp_path) == set()


def test_a_group_replaces_a_link_and_leaves_its_target(tmp_path):
    (tmp_path / "elsewhere.onnx").write_text("old")
    (tmp_path / "net.onnx").symlink_to(tmp_path / "elsewhere.onnx")
    with atomic_write_group(tmp_path, ["net.onnx"]) as temporary:
        (temporary / "net.onnx").write_text("new")
    assert not (tmp_path / "net.onnx").is_symlink()
    assert (tmp_path / "elsewhere.onnx").read_text() == "old"


def test_a_directory_of_the_same_name_is_named(tmp_path):
    (tmp_path / "net.onnx").mkdir()
    with (
        pytest.raises(UsageError, match=r"net\.onnx: a directory is in the way"),
        atomic_write_group(tmp_path, NAMES),
    ):
        pass


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(UsageError, match="file: cannot be written: "),
        atomic_write_group(tmp_path / "file", NAMES),
    ):
        pass
