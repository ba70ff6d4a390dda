"""Temporary folders: removed with their process, however it ends, and never under a living one."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from converters import temporary_folder, temporary_folders


def folders_in(parent: Path) -> list[Path]:
    return sorted(parent.glob(".dsd-zoo-*.part"))


HOLDER = """
import sys
from pathlib import Path
from converters import temporary_folder
with temporary_folder(Path(sys.argv[1])) as folder:
    (folder / "large").write_text("half")
    print("made", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that has a temporary folder."""
    command = [sys.executable, "-c", HOLDER, tmp_path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "made\n"
        yield process
        process.kill()


def test_it_is_private_and_gone_afterwards(tmp_path):
    with temporary_folder(tmp_path) as folder:
        (folder / "file").touch()
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert folder.parent == tmp_path
    assert not list(tmp_path.iterdir())


def test_that_of_a_living_process_stays_and_that_of_a_killed_one_goes(tmp_path, holder):
    with temporary_folder(tmp_path) as own:
        (other,) = [folder for folder in folders_in(tmp_path) if folder != own]
        assert (other / "large").exists()
        with temporary_folder(tmp_path):
            assert own.exists()
    assert folders_in(tmp_path) == [other]
    holder.kill()
    holder.wait()
    assert folders_in(tmp_path) == [other]
    with temporary_folder(tmp_path) as own:
        assert folders_in(tmp_path) == [own]


def test_only_folders_of_this_name_are_removed(tmp_path):
    (tmp_path / ".dsd-zoo-notes").mkdir()
    (tmp_path / ".other.part").mkdir()
    (tmp_path / ".dsd-zoo-file.part").touch()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "kept").touch()
    (tmp_path / ".dsd-zoo-link.part").symlink_to(elsewhere)
    before = sorted(tmp_path.rglob("*"))
    with temporary_folder(tmp_path):
        pass
    assert sorted(tmp_path.rglob("*")) == before


def test_a_folder_taken_before_it_is_locked_is_made_again(tmp_path, monkeypatch):
    """The moment between making and locking: another process takes it for a leftover."""
    lock, taken = temporary_folders.lock_folder, []

    def lock_late(folder: Path, *, wait: bool) -> int | None:
        if not taken:
            taken.append(folder)
            temporary_folders.remove_leftovers(tmp_path)
        return lock(folder, wait=wait)

    monkeypatch.setattr(temporary_folders, "lock_folder", lock_late)
    with temporary_folder(tmp_path) as folder:
        assert folder.exists()
        assert folder != taken[0]
        assert not taken[0].exists()


@pytest.mark.parametrize("reason", ["no module", "no locks on this disk"])
def test_without_locks_nothing_is_removed(tmp_path, monkeypatch, reason):
    left = tmp_path / ".dsd-zoo-00000000-0011223344556677.part"
    left.mkdir()
    if reason == "no module":
        monkeypatch.setattr(temporary_folders, "fcntl", None)
    else:

        def flock(*_: object) -> None:
            raise OSError(38, "Function not implemented")

        monkeypatch.setattr(temporary_folders.fcntl, "flock", flock)
    with temporary_folder(tmp_path) as own:
        assert folders_in(tmp_path) == sorted([left, own])
    assert folders_in(tmp_path) == [left]
