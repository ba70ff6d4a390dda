"""Archives that are on record themselves: by size and hash, and with the path of the file in them."""

from __future__ import annotations

import gzip

import pytest
from archives import ARCHIVES, WITH_COMPANY, tarred, zipped
from misbehaving_server import CONTENT, answer, drop_after, known, left_behind, model, raw, serve, status

from zoo.catalog.manifest import Manifest, ModelFile
from zoo.download import Fetched, add_file, fetch_file
from zoo.download.parallel import fetch_all
from zoo.errors import FetchError, IntegrityError

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
