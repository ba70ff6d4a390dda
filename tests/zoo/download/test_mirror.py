"""The cache exported to a folder, imported on another machine, and served as a mirror."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest
from misbehaving_server import CONTENT, answer, known, model, running

from zoo.catalog.catalog import Catalog
from zoo.catalog.manifest import Manifest
from zoo.download import Network, add_file, fetch_file
from zoo.download.mirror import CopiedFile, export_cache, import_cache
from zoo.errors import FetchError, IntegrityError, UsageError
from zoo.store.cache import Cache

PINNED = model(**known())
UNPINNED = model()
MODEL = UNPINNED.manifest
SOURCE = "https://example.org/tiny.caffemodel"


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    """A catalog that has one model, `tiny`, whose file is not pinned."""
    folder = tmp_path / "manifests"
    folder.mkdir()
    write_manifest(folder, MODEL)
    return Catalog({"tiny": folder / "tiny.toml"})


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest as TOML; its strings and numbers look as in JSON."""
    fields = manifest.model_dump(exclude_none=True)
    head = {
        name: value
        for name, value in fields.items()
        if not isinstance(value, dict | list) or name == "input_shape"
    }
    lines = [f"{name} = {json.dumps(value)}" for name, value in head.items()]
    for table in ("license", "preprocessing"):
        lines += [f"[{table}]", *(f"{name} = {json.dumps(value)}" for name, value in fields[table].items())]
    lines += ["[[files]]", *(f"{name} = {json.dumps(value)}" for name, value in fields["files"][0].items())]
    (folder / f"{manifest.name}.toml").write_text("\n".join(lines))


@pytest.fixture
def here(tmp_path: Path) -> Cache:
    """The cache of the machine with network; the file came there by hand."""
    cache = Cache(tmp_path / "here", tmp_path / "here.json")
    by_hand = tmp_path / "tiny.caffemodel"
    by_hand.write_bytes(CONTENT)
    add_file(MODEL, by_hand, cache)
    return cache


@pytest.fixture
def there(tmp_path: Path) -> Cache:
    """The empty cache of another user on another machine."""
    return Cache(tmp_path / "there", tmp_path / "there.json")


def test_an_export_has_the_files_under_their_own_names(here, tmp_path):
    out = tmp_path / "out"
    assert list(export_cache(here, [MODEL], out)) == [
        CopiedFile("tiny", "tiny.caffemodel", "1,280,000 bytes")
    ]
    assert sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()) == [
        "index.json",
        "tiny/tiny.caffemodel",
    ]
    assert (out / "tiny" / "tiny.caffemodel").read_bytes() == CONTENT
    list(export_cache(here, [MODEL], out))


def test_what_ships_with_the_zoo_is_not_exported(here, tmp_path):
    assert list(export_cache(here, [Catalog.load().get("digits-caffe-dsd")], tmp_path / "out")) == []


def test_an_export_does_not_mix_with_other_things(here, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    with pytest.raises(UsageError, match="expected a new folder"):
        list(export_cache(here, [MODEL], tmp_path / "mine"))
    with pytest.raises(UsageError, match="expected a new folder"):
        list(export_cache(here, [MODEL], tmp_path / "mine" / "thesis.txt"))


def test_a_damaged_file_is_not_exported(here, tmp_path):
    path = here.require(MODEL, "weights")
    path.write_bytes(CONTENT[:-1] + b"!")
    (moved,) = export_cache(here, [MODEL], tmp_path / "out")
    assert isinstance(moved.outcome, IntegrityError)
    assert "not the file that came at first use" in str(moved.outcome)
    assert not list((tmp_path / "out" / "tiny").iterdir())


def test_a_full_disk_is_told_with_the_folder(here, tmp_path, monkeypatch):
    def full(_descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UsageError, match=r"export: the export cannot be written: No space left on device"):
        list(export_cache(here, [MODEL], tmp_path / "export"))
    assert [path.name for path in (tmp_path / "export").rglob("*")] == ["tiny"]


def test_the_record_of_first_use_is_exported_and_imported(here, there, catalog, tmp_path):
    list(export_cache(here, [MODEL], tmp_path / "out"))
    assert list(import_cache(there, catalog, tmp_path / "out")) == [
        CopiedFile("tiny", "tiny.caffemodel", "1,280,000 bytes")
    ]
    assert there.require(MODEL, "weights").read_bytes() == CONTENT
    assert there.trust(UNPINNED) == "recorded"
    assert there.record(UNPINNED) == here.record(UNPINNED)
    assert list(import_cache(there, catalog, tmp_path / "out")) == [
        CopiedFile("tiny", "tiny.caffemodel", "already here")
    ]


def imported(there: Cache, catalog: Catalog, out: Path) -> str:
    (moved,) = import_cache(there, catalog, out)
    assert isinstance(moved.outcome, UsageError | IntegrityError)
    assert there.find(UNPINNED) is None
    return str(moved.outcome)


def test_a_file_that_changed_on_the_way_is_refused(here, there, catalog, tmp_path):
    out = tmp_path / "out"
    list(export_cache(here, [MODEL], out))
    (out / "tiny" / "tiny.caffemodel").write_bytes(CONTENT[:-1] + b"!")
    assert "not the file that its record describes" in imported(there, catalog, out)
    assert there.trust(UNPINNED) == "unverified"


def test_a_file_that_is_missing_is_told(here, there, catalog, tmp_path):
    list(export_cache(here, [MODEL], tmp_path / "out"))
    (tmp_path / "out" / "tiny" / "tiny.caffemodel").unlink()
    assert "cannot be tiny.caffemodel of tiny: no such file" in imported(there, catalog, tmp_path / "out")


def test_what_came_first_here_is_not_overruled(here, there, catalog, tmp_path):
    other = tmp_path / "other.caffemodel"
    other.write_bytes(CONTENT[::-1])
    _, stored = add_file(MODEL, other, there)
    stored.unlink()
    list(export_cache(here, [MODEL], tmp_path / "out"))
    assert "not the file that came at first use" in imported(there, catalog, tmp_path / "out")


@pytest.mark.parametrize(
    ("model_name", "name"), [("../tiny", "tiny.caffemodel"), ("tiny", "../../x"), ("no", "x")]
)
def test_names_that_no_manifest_has_are_refused(here, there, catalog, tmp_path, model_name, name):
    out = tmp_path / "out"
    list(export_cache(here, [MODEL], out))
    index = json.loads((out / "index.json").read_text())
    index["models"] = {model_name: {name: index["models"]["tiny"]["tiny.caffemodel"]}}
    (out / "index.json").write_text(json.dumps(index))
    assert "no such model or file in the catalog" in imported(there, catalog, out)


def test_a_folder_that_is_no_export_is_told(there, catalog, tmp_path):
    with pytest.raises(UsageError, match=r"no index\.json in it"):
        list(import_cache(there, catalog, tmp_path))


def test_an_export_serves_as_a_mirror(here, there, tmp_path):
    """As a folder and over HTTP; the hashes of a pinned file are checked."""
    out = tmp_path / "out"
    list(export_cache(here, [MODEL], out))
    fetched = fetch_file(PINNED, there, Network(mirrors=(out.as_uri(),), offline=True))
    assert fetched.source == (out / "tiny" / "tiny.caffemodel").as_uri()
    assert fetched.path.read_bytes() == CONTENT
    with running() as site:
        site.routes = {"/zoo/tiny/tiny.caffemodel": answer(CONTENT[::-1])}
        wrong = Network(mirrors=(site.url("/zoo"),))
        with pytest.raises((FetchError, IntegrityError), match="not the file on record"):
            fetch_file(PINNED, Cache(tmp_path / "third"), wrong)
