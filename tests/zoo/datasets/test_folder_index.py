"""The index of a folder: listed once, and again whenever anything in it has changed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from zoo.datasets import open_dataset
from zoo.datasets.sources import folder as folder_source

SYNSETS = ("n01440764", "n01443537", "n01484850")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Folders as of ImageNet's training set, unchanged for a minute."""
    root = tmp_path / "train"
    for synset in SYNSETS:
        (root / synset).mkdir(parents=True)
        for k in range(4):
            (root / synset / f"{synset}_{k}.JPEG").write_bytes(b"")
    (root / "empty").mkdir()
    settle(root)
    return root


def settle(root: Path) -> None:
    for path in (root, *(path for path in root.rglob("*") if path.is_dir())):
        before = path.stat().st_mtime - 60
        os.utime(path, (before, before))


@pytest.fixture
def listings(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What was listed."""
    seen: list[object] = []
    scandir = os.scandir

    def counted(path):
        seen.append(path)
        return scandir(path)

    monkeypatch.setattr(folder_source.os, "scandir", counted)
    return seen


def opened(root: Path, indexes: Path) -> dict[str, int]:
    with open_dataset(root, indexes=indexes) as data:
        return {sample.id: sample.label for sample in data}


def test_a_folder_is_listed_once(tmp_path, images, listings):
    first = opened(images, tmp_path / "indexes")
    assert len(first) == 12
    assert listings
    listings.clear()
    assert opened(images, tmp_path / "indexes") == first
    assert not listings


@pytest.mark.parametrize("change", ["add", "remove", "rename", "into the empty folder", "new folder"])
def test_any_change_makes_it_be_listed_again(tmp_path, images, listings, change):
    opened(images, tmp_path / "indexes")
    listings.clear()
    image = images / SYNSETS[0] / f"{SYNSETS[0]}_0.JPEG"
    new = images / SYNSETS[1] / f"{SYNSETS[1]}_9.JPEG"
    if change == "add":
        new.write_bytes(b"")
    elif change == "remove":
        image.unlink()
    elif change == "rename":
        image.rename(image.with_name(f"{SYNSETS[0]}_7.JPEG"))
    elif change == "into the empty folder":
        (images / "empty" / f"{SYNSETS[2]}_9.JPEG").write_bytes(b"")
        (images / "empty").rename(images / SYNSETS[2] / "more")
        (images / SYNSETS[2] / "more" / f"{SYNSETS[2]}_9.JPEG").rename(
            images / SYNSETS[2] / f"{SYNSETS[2]}_9.JPEG"
        )
    else:
        (images / SYNSETS[0] / "deeper").mkdir()
    found = opened(images, tmp_path / "indexes")
    assert listings
    with open_dataset(images) as data:
        assert found == {sample.id: sample.label for sample in data}


def test_a_folder_that_has_just_changed_is_not_kept(tmp_path, images, listings):
    (images / "note.txt").write_text("new")
    opened(images, tmp_path / "indexes")
    listings.clear()
    opened(images, tmp_path / "indexes")
    assert listings


@pytest.mark.parametrize("content", [b"", b"[]", b'{"names": 1}', b"\xff"])
def test_a_damaged_index_is_made_again(tmp_path, images, listings, content):
    first = opened(images, tmp_path / "indexes")
    (index,) = (tmp_path / "indexes").iterdir()
    index.write_bytes(content)
    assert opened(images, tmp_path / "indexes") == first
    listings.clear()
    assert opened(images, tmp_path / "indexes") == first
    assert not listings


def test_where_no_index_can_be_kept_the_folder_is_listed(tmp_path, images):
    (tmp_path / "file").write_text("in the way")
    assert len(opened(images, tmp_path / "file")) == 12
