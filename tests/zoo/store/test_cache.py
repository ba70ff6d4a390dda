"""The cache: what it finds, shares and refuses, and files added by hand."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from zoo.catalog.catalog import Catalog
from zoo.catalog.manifest import Manifest
from zoo.download import add_file, fetch_file
from zoo.download.transfer import MAX_BYTES
from zoo.errors import IntegrityError, UsageError
from zoo.store.cache import Cache
from zoo.store.digests import digest_file

EMBEDDED = Catalog.load().get("digits-caffe-dsd")
CONTENT = b"\x0a\x04tiny" + bytes(1000)


def model(*files: dict[str, object], name: str = "tiny") -> Manifest:
    """A model with these files; its other fields are those of an embedded model."""
    fields = EMBEDDED.model_dump() | {"name": name, "claims": [], "recorded": {}, "files": files}
    return Manifest.model_validate(fields)


def weights(**known: object) -> dict[str, object]:
    return {"name": "tiny.caffemodel", "role": "weights", **known}


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


@pytest.fixture
def by_hand(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.caffemodel"
    path.write_bytes(CONTENT)
    return path


def test_an_embedded_file_lies_beside_its_manifest(cache):
    assert cache.require(EMBEDDED, "weights") == EMBEDDED.directory / "digits" / "caffe" / "dsd.caffemodel"
    assert not cache.root.exists()


def test_a_missing_file_says_what_to_run(cache):
    with pytest.raises(UsageError, match=r"squeezenet-dsd: trainval\.prototxt is not in the cache"):
        cache.require(Catalog.load().get("squeezenet-dsd"), "definition")
    with pytest.raises(UsageError, match="no file of this model has the role 'mean'"):
        cache.require(EMBEDDED, "mean")


def test_the_root_comes_from_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("DSD_ZOO_CACHE", str(tmp_path / "elsewhere"))
    assert Cache().root == tmp_path / "elsewhere"


def test_a_right_file_is_added_and_the_original_stays(cache, by_hand):
    manifest = model(weights(sha1=digest_file(by_hand).sha1))
    file, stored = add_file(manifest, by_hand, cache)
    assert file.name == "tiny.caffemodel"
    assert (
        stored
        == cache.root / "sha256" / digest_file(by_hand).sha256[:2] / digest_file(by_hand).sha256 / file.name
    )
    assert stored.read_bytes() == by_hand.read_bytes() == CONTENT
    assert cache.require(manifest, "weights") == stored


def test_a_wrong_file_is_not_added(cache, by_hand):
    manifest = model(weights(bytes=len(CONTENT), sha1="0" * 40))
    with pytest.raises(IntegrityError) as caught:
        add_file(manifest, by_hand, cache, replace=True)
    assert str(caught.value).splitlines() == [
        f"{by_hand}: for tiny.caffemodel of tiny this is not the file on record",
        f"  sha1: expected {'0' * 40}, came {digest_file(by_hand).sha1}",
        "  where the right one comes from: dsd-zoo show tiny",
    ]
    assert cache.find(manifest.model_files()[0]) is None
    assert list((cache.root / "partial").iterdir()) == []


def test_a_page_saved_under_a_models_name_is_refused(cache, by_hand):
    by_hand.write_bytes(b"<html>please sign in</html>")
    with pytest.raises(UsageError, match=r"cannot be tiny\.caffemodel of tiny: delivered an HTML page"):
        add_file(model(weights()), by_hand, cache)


def test_of_several_files_the_content_decides_then_the_name_then_the_ending(cache, tmp_path, by_hand):
    right = digest_file(by_hand).sha256
    manifest = model(weights(sha256=right), {"name": "tiny.prototxt", "role": "definition"})
    renamed = tmp_path / "download(1)"
    renamed.write_bytes(CONTENT)
    assert add_file(manifest, renamed, cache)[0].entry.role == "weights"
    definition = tmp_path / "deploy.prototxt"
    definition.write_text('name: "tiny"')
    assert add_file(manifest, definition, cache)[0].entry.role == "definition"


def test_a_file_that_could_be_several_is_asked_for(cache, tmp_path):
    manifest = model(weights(), {"name": "tiny.prototxt", "role": "definition"})
    unclear = tmp_path / "unclear"
    unclear.write_bytes(CONTENT)
    with pytest.raises(UsageError, match=r"choose with --as NAME, one of: tiny\.caffemodel, tiny\.prototxt"):
        add_file(manifest, unclear, cache)
    with pytest.raises(UsageError, match="no file of this model has that name"):
        add_file(manifest, unclear, cache, name="other")
    assert add_file(manifest, unclear, cache, name="tiny.caffemodel")[0].entry.role == "weights"


@pytest.mark.parametrize("known", [{}, {"sha1": "0" * 40}])
def test_a_file_larger_than_any_is_refused_unread(cache, by_hand, monkeypatch, known):
    os.truncate(by_hand, MAX_BYTES + 1)
    monkeypatch.setattr("zoo.store.digests.read_chunks", lambda _: pytest.fail("read"))
    with pytest.raises(UsageError, match=r"announces 2,147,483,649 bytes; none of these files has more"):
        add_file(model(weights(**known)), by_hand, cache)


def test_nothing_can_be_added_to_a_model_that_ships_with_the_zoo(cache, by_hand):
    with pytest.raises(UsageError, match="all files of this model ship with the zoo"):
        add_file(EMBEDDED, by_hand, cache)
    with pytest.raises(UsageError, match="no such file"):
        add_file(EMBEDDED, by_hand.with_name("nowhere"), cache)


def test_a_changed_unpinned_file_needs_replace(cache, by_hand):
    manifest = model(weights())
    add_file(manifest, by_hand, cache)
    by_hand.write_bytes(CONTENT + b"!")
    with pytest.raises(IntegrityError, match="not the file that came at first use"):
        add_file(manifest, by_hand, cache)
    add_file(manifest, by_hand, cache, replace=True)
    assert cache.require(manifest, "weights").read_bytes() == CONTENT + b"!"


def test_the_same_content_is_stored_once_for_all_models(cache, by_hand):
    known = digest_file(by_hand).sha256
    _, stored = add_file(model(weights(sha256=known)), by_hand, cache)
    other = model({"name": "other.caffemodel", "role": "weights", "sha256": known}, name="other")
    assert cache.require(other, "weights") == stored
    unpinned = model(weights(), name="third")
    assert cache.find(unpinned.model_files()[0]) is None


def test_what_was_stored_is_not_found_under_a_manifest_that_says_otherwise(cache, by_hand):
    add_file(model(weights()), by_hand, cache)
    changed = model(weights(sha1="0" * 40))
    assert cache.find(changed.model_files()[0]) is None


def test_a_damaged_copy_is_not_found_and_is_replaced(cache, by_hand):
    manifest = model(weights(sha256=digest_file(by_hand).sha256))
    _, stored = add_file(manifest, by_hand, cache)
    stored.write_bytes(CONTENT[:-1])
    assert cache.find(manifest.model_files()[0]) is None
    add_file(manifest, by_hand, cache)
    assert cache.require(manifest, "weights").read_bytes() == CONTENT


def with_digests(digests: str) -> str:
    """An index in which one file has these digests."""
    record = f'{{"digests": {digests}, "source": "", "added": ""}}'
    return f'{{"schema_version": 1, "models": {{"tiny": {{"tiny.caffemodel": {record}}}}}}}'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "damaged"),
        ("[]", "damaged"),
        ('{"schema_version": 1, "models": {"tiny": {"tiny.caffemodel": {}}}}', "damaged"),
        (with_digests("[1]"), "damaged"),
        (
            with_digests('{"bytes": 1, "sha256": "../..", "sha384": "", "sha1": "", "git_blob": ""}'),
            "damaged",
        ),
        ('{"schema_version": 99, "models": {}}', "expected version 1 of its format, came 99"),
    ],
)
@pytest.mark.parametrize("which", ["index.json", "lock.json"])
def test_an_unreadable_record_says_what_to_do(cache, lock_file, text, message, which):
    cache.root.mkdir()
    path, remedy = {
        "index.json": (cache.root / "index.json", "delete it and fetch again"),
        "lock.json": (lock_file, "repair it, or delete it"),
    }[which]
    path.write_text(text)
    manifest = model(weights())
    with pytest.raises(UsageError) as caught:
        cache.find(manifest.model_files()[0])
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)
    assert remedy in str(caught.value)


def test_what_came_first_outlives_the_cache(cache, by_hand, tmp_path):
    manifest = model(weights())
    add_file(manifest, by_hand, cache)
    emptied = Cache(tmp_path / "other cache")
    assert emptied.trust(manifest.model_files()[0]) == "recorded"
    by_hand.write_bytes(CONTENT + b"!")
    with pytest.raises(IntegrityError, match="not the file that came at first use"):
        add_file(manifest, by_hand, emptied)


def test_a_pinned_file_leaves_no_record_of_first_use(cache, by_hand, lock_file):
    add_file(model(weights(sha1=digest_file(by_hand).sha1)), by_hand, cache)
    assert not lock_file.exists()


def test_without_the_lock_file_what_lies_in_the_cache_counts_as_first(cache, by_hand, lock_file):
    manifest = model(weights())
    _, stored = add_file(manifest, by_hand, cache)
    lock_file.unlink()
    assert cache.trust(manifest.model_files()[0]) == "unverified"
    assert fetch_file(manifest.model_files()[0], cache).path == stored
    assert cache.trust(manifest.model_files()[0]) == "recorded"


def test_a_disk_without_room_is_told_beforehand(cache):
    cache.require_space(1, "a byte")
    with pytest.raises(UsageError) as caught:
        cache.require_space(1 << 60, "too much")
    assert "no room for too much: 1,152,921,504,606,846,976 bytes are needed" in str(caught.value)
    assert "DSD_ZOO_CACHE" in str(caught.value)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_cache_that_may_not_be_written_says_so(cache, by_hand):
    cache.root.mkdir(mode=0o500)
    with pytest.raises(UsageError, match=r"cannot be written: Permission denied"):
        add_file(model(weights()), by_hand, cache)


def test_a_cache_on_a_read_only_disk_says_so(cache, by_hand, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(cache.root))

    monkeypatch.setattr(Cache, "lock", refuse)
    with pytest.raises(UsageError) as caught:
        add_file(model(weights()), by_hand, cache)
    assert str(caught.value).splitlines() == [
        f"{cache.root}: cannot be written: Read-only file system",
        "  set DSD_ZOO_CACHE (cache) and DSD_ZOO_LOCK (record of first use) to writable places",
    ]
