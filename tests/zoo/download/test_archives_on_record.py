"""Archives that are on record themselves: by size and hash, and with the path of the file in them."""

from __future__ import annotations

import gzip

import pytest
from archives import ARCHIVES, WITH_COMPANY, tarred, zipped
from manifest_files import catalog_of, write_manifest
from misbehaving_server import CONTENT, answer, drop_after, known, left_behind, model, raw, serve, status

from zoo.catalog.manifest import Manifest, ModelFile
from zoo.download import Fetched, Network, add_file, fetch_file
from zoo.download.mirror import export_cache, import_cache
from zoo.download.parallel import fetch_all
from zoo.errors import FetchError, IntegrityError
from zoo.store.cache import Cache
from zoo.verification.integrity import check_integrity

SMALL = CONTENT[:5000]


def in_archive(url: str, body: bytes | None = None, **entry: object) -> ModelFile:
    """The file of a model, in an archive on record."""
    archive = {"name": "net.zip", **({} if body is None else known(body)), **entry}
    return model(url, archive=archive)


TWO = (("a/tiny.caffemodel", CONTENT), ("b/tiny.caffemodel", SMALL))


@pytest.mark.parametrize("member", ["a/tiny.caffemodel", "./a/tiny.caffemodel", "a//tiny.caffemodel"])
@pytest.mark.parametrize("written", ["a/tiny.caffemodel", "./a/tiny.caffemodel", "a\\tiny.caffemodel"])
def test_the_member_on_record_is_taken(site, cache, hasty, member, written):
    site.content = zipped((written, CONTENT), *TWO[1:])
    fetched = fetch_file(in_archive(site.url(), site.content, member=member), cache, hasty)
    assert fetched.path.read_bytes() == CONTENT


def test_without_the_member_on_record_nothing_is_taken(site, cache, hasty):
    site.content = zipped(("c/tiny.caffemodel", CONTENT))
    with pytest.raises(FetchError, match=r"in which no file could be tiny\.caffemodel"):
        fetch_file(in_archive(site.url(), member="a/tiny.caffemodel"), cache, hasty)


@pytest.mark.parametrize("kind", ["sha256", "sha384", "sha1", "git_blob"])
def test_each_kind_of_hash_pins_the_archive(site, cache, hasty, kind):
    site.content = ARCHIVES["zip"]
    pin = {kind: known(site.content)[kind]}
    other = zipped(*WITH_COMPANY, ("more", b"more"))
    site.script = [answer(other)]
    with pytest.raises(IntegrityError, match=f"not the archive on record\\n +{kind}: expected"):
        fetch_file(in_archive(site.url(), **pin), cache, hasty)
    assert left_behind(cache) == []
    site.script = [serve]
    assert fetch_file(in_archive(site.url(), **pin), cache, hasty).path.read_bytes() == CONTENT


@pytest.mark.parametrize("difference", [-1, 1])
def test_an_archive_of_another_size_is_refused_before_it_comes(site, cache, hasty, difference):
    site.content = ARCHIVES["tar.gz"]
    size = len(site.content)
    file = in_archive(site.url(), bytes=size + difference)
    with pytest.raises(IntegrityError, match=f"not the archive on record\\n.*, came {size}"):
        fetch_file(file, cache, hasty)


def test_the_size_of_a_pinned_archive_tells_where_it_ends(site, cache, hasty):
    """Also where the server announces no length and closes the connection."""
    body = ARCHIVES["zip"]
    site.script = [raw(body[: len(body) // 2]), raw(body)]
    assert fetch_file(in_archive(site.url(), body), cache, hasty).path.read_bytes() == CONTENT


def test_an_archive_on_record_is_resumed(site, cache, hasty):
    site.content = ARCHIVES["zip stored"]
    site.script = [drop_after(500_000), serve]
    assert fetch_file(in_archive(site.url(), site.content), cache, hasty).path.read_bytes() == CONTENT
    assert site.ranges[0] is None
    assert site.ranges[1] is not None


def test_the_file_itself_may_come_from_another_source_of_a_file_in_an_archive(site, cache, hasty):
    file = in_archive(site.url(), ARCHIVES["zip"])
    assert fetch_file(file, cache, hasty).path.read_bytes() == CONTENT


def test_a_file_that_was_added_may_come_in_the_archive_on_record_only(cache, tmp_path):
    path = tmp_path / "mine.zip"
    path.write_bytes(ARCHIVES["zip"])
    file = in_archive("https://example.org/net.zip", ARCHIVES["tar"])
    with pytest.raises(IntegrityError, match="not the archive on record"):
        add_file(file.manifest, path, cache, name="tiny.caffemodel")
    path.write_bytes(ARCHIVES["tar"])
    added, stored_at = add_file(file.manifest, path, cache)
    assert (added, stored_at.read_bytes()) == (file, CONTENT)


def test_a_file_of_a_pinned_archive_is_pinned(site, cache, hasty, tmp_path):
    """Before it comes, afterwards, and when the cache is emptied: no hash of its own is needed."""
    site.content = ARCHIVES["tar"]
    file = in_archive(site.url(), site.content)
    assert (file.entry.trust, cache.trust(file)) == ("pinned", "pinned")
    fetch_file(file, cache, hasty)
    emptied = Cache(tmp_path / "emptied")
    assert (cache.trust(file), emptied.trust(file)) == ("pinned", "pinned")
    (check,) = check_integrity(file.manifest, cache)
    assert (check.ok, check.trust, check.detail) == (True, "pinned", "sha256 as in the archive on record")


def test_an_archive_without_a_hash_pins_nothing(site, cache, hasty):
    site.content = ARCHIVES["tar"]
    file = in_archive(site.url(), bytes=len(site.content))
    assert (file.entry.trust, cache.trust(file)) == ("unpinned", "unverified")
    fetch_file(file, cache, hasty)
    assert cache.trust(file) == "recorded"


def test_the_bare_file_is_only_recorded_until_the_archive_confirms_it(cache, tmp_path):
    bare, archive = tmp_path / "tiny.caffemodel", tmp_path / "net.tar"
    bare.write_bytes(CONTENT)
    archive.write_bytes(ARCHIVES["tar"])
    file = in_archive("https://example.org/net.tar", ARCHIVES["tar"])
    add_file(file.manifest, bare, cache)
    assert cache.trust(file) == "recorded"
    add_file(file.manifest, archive, cache)
    assert cache.trust(file) == "pinned"
    add_file(file.manifest, bare, cache, replace=True)
    assert cache.trust(file) == "pinned"


def test_what_the_archive_confirmed_is_never_overruled(cache, tmp_path):
    bare, archive = tmp_path / "tiny.caffemodel", tmp_path / "net.tar"
    bare.write_bytes(CONTENT + b"!")
    archive.write_bytes(ARCHIVES["tar"])
    file = in_archive("https://example.org/net.tar", ARCHIVES["tar"])
    add_file(file.manifest, bare, cache)
    with pytest.raises(IntegrityError, match="not the file that came at first use"):
        add_file(file.manifest, archive, cache)
    add_file(file.manifest, archive, cache, replace=True)
    with pytest.raises(IntegrityError, match="not the file that is in the archive on record") as caught:
        add_file(file.manifest, bare, cache, replace=True)
    assert "--replace" not in str(caught.value)
    assert (cache.trust(file), cache.find(file).read_bytes()) == ("pinned", CONTENT)  # type: ignore[union-attr]


def test_a_record_of_another_archive_pins_nothing(site, cache, hasty):
    """A manifest may come to name another archive."""
    site.content = ARCHIVES["tar"]
    fetch_file(in_archive(site.url(), site.content), cache, hasty)
    assert cache.trust(in_archive(site.url(), ARCHIVES["zip"])) == "recorded"


def test_an_import_does_not_prove_an_archive(site, cache, hasty, tmp_path):
    """Who wrote the export may have written anything into its index."""
    site.content = ARCHIVES["tar"]
    file = in_archive(site.url(), site.content)
    fetch_file(file, cache, hasty)
    assert len(list(export_cache(cache, [file.manifest], tmp_path / "e"))) == 1
    there = Cache(tmp_path / "there", tmp_path / "there.json")
    entry = file.entry.model_dump(exclude_none=True)
    catalog = catalog_of(write_manifest(tmp_path / "m", "tiny", entry))
    (copied,) = import_cache(there, catalog, tmp_path / "e")
    assert copied.outcome == f"{len(CONTENT):,} bytes"
    assert there.trust(file) == "recorded"


def test_by_hand_the_archive_is_what_is_asked_for(cache):
    file = in_archive("https://example.org/net.tar", ARCHIVES["tar"])
    with pytest.raises(FetchError) as caught:
        fetch_file(file, cache, Network(offline=True))
    size, hashes = len(ARCHIVES["tar"]), known(ARCHIVES["tar"])
    assert f"  the right archive net.zip has {size} bytes, sha256 {hashes['sha256']}" in str(caught.value)


PAIR = (("n/tiny.prototxt", b"name: 'tiny'\n"), ("n/tiny.caffemodel", CONTENT))


def pair_in_archive(url: str, body: bytes) -> Manifest:
    """A model whose two files were published in one archive."""
    archive = {"name": "tiny.tar.gz", "sha384": known(body)["sha384"]}
    roles = (("tiny.prototxt", "definition"), ("tiny.caffemodel", "weights"))
    files = [{"name": name, "role": role, "urls": [url], "archive": archive} for name, role in roles]
    return Manifest.model_validate({**model().manifest.model_dump(), "files": files})


@pytest.mark.parametrize("validators", [{"etag": '"1"'}, {"etag": None}], ids=["tag", "no tag"])
def test_an_archive_comes_once_for_all_the_files_in_it(site, cache, hasty, validators):
    site.content, site.etag = gzip.compress(tarred(*PAIR)), validators["etag"]
    files = pair_in_archive(site.url(), site.content).model_files()
    found = list(fetch_all(files, cache, hasty))
    assert all(isinstance(one, Fetched) for one in found), found
    assert [cache.find(file).read_bytes() for file in files] == [content for _, content in PAIR]  # type: ignore[union-attr]
    assert len(site.requests) == 1
    assert not list((cache.root / "partial").iterdir())


def test_an_archive_that_is_still_wanted_outlives_an_error(site, cache, hasty, monkeypatch):
    site.content = gzip.compress(tarred(*PAIR))
    definition, weights = pair_in_archive(site.url(), site.content).model_files()
    fetch_file(definition, cache, hasty)
    fetch_file(definition, cache, hasty)
    site.script = [status(503)]
    assert fetch_file(weights, cache, hasty).path.read_bytes() == CONTENT
    assert len(site.requests) == 1
