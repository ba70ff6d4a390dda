"""One file from a real HTTP server, local files and several sources: what is stored and what is refused."""

from __future__ import annotations

import gzip
import hashlib
import ssl
from dataclasses import replace
from pathlib import Path

import pytest
from misbehaving_server import (
    CONTENT,
    answer,
    drop_after,
    known,
    left_behind,
    model,
    raw,
    running,
    serve,
    silent,
    status,
    stored,
)

from zoo.download import DownloadProgress, FailedSource, fetch_file
from zoo.errors import FetchError, IntegrityError, UsageError
from zoo.store.digests import Digests

HTML = b"<!DOCTYPE html>\n<html><body>Sign in to continue</body></html>\n"
LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 1280000\n"
PINNED = known()


def test_a_good_file_is_stored_and_recorded(site, cache, hasty):
    file = model(site.url(), **PINNED)
    fetched = fetch_file(file, cache, hasty)
    assert fetched.path.read_bytes() == CONTENT
    assert fetched.path.name == "tiny.caffemodel"
    assert fetched.source == site.url()
    assert cache.find(file) == fetched.path
    assert cache.trust(file) == "pinned"
    record = cache.record(file)
    assert record is not None
    assert record.digests == Digests(**PINNED)
    assert left_behind(cache) == stored()


def test_a_file_in_the_cache_is_not_downloaded_again(site, cache, hasty):
    file = model(site.url(), **PINNED)
    first = fetch_file(file, cache, hasty)
    assert fetch_file(file, cache, hasty).source is None
    assert fetch_file(file, cache, hasty).path == first.path
    assert len(site.requests) == 1


@pytest.mark.parametrize("kind", ["sha256", "sha384", "sha1", "git_blob"])
def test_each_kind_of_hash_alone_pins_the_content(site, cache, hasty, kind):
    file = model(site.url(), **{kind: PINNED[kind]})
    assert fetch_file(file, cache, hasty).path.read_bytes() == CONTENT

    wrong = "0" * len(str(PINNED[kind]))
    file = model(site.url(), **{kind: wrong})
    with pytest.raises(IntegrityError, match=rf"{kind}: expected {wrong}, came {PINNED[kind]}"):
        fetch_file(file, cache, hasty)
    assert cache.find(file) is None
    assert left_behind(cache) == stored()


@pytest.mark.parametrize("difference", [-1, 1])
def test_another_size_than_declared_is_refused(site, cache, hasty, difference):
    size = len(CONTENT) + difference
    file = model(site.url(), bytes=size)
    with pytest.raises(IntegrityError, match=f"bytes: expected {size}, came {len(CONTENT)}"):
        fetch_file(file, cache, hasty)
    assert left_behind(cache) == []


def test_more_bytes_than_declared_stop_the_download(site, cache, hasty):
    sent = []

    def endless(handler, site):
        handler.begin(200, Connection="close")
        for _ in range(1000):
            handler.wfile.write(bytes(1 << 20))
            sent.append(1)

    site.script = [endless]
    file = model(site.url(), bytes=1000)
    with pytest.raises(IntegrityError, match="bytes: expected 1000 at most, more came"):
        fetch_file(file, cache, hasty)
    assert len(sent) < 1000
    assert left_behind(cache) == []


def test_chunks_without_an_announced_size_are_hashed_all_the_same(site, cache, hasty):
    pieces = [CONTENT[at : at + 100_000] for at in range(0, len(CONTENT), 100_000)]
    body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    site.script = [raw(body, Transfer_Encoding="chunked")]
    file = model(site.url(), git_blob=PINNED["git_blob"])
    assert fetch_file(file, cache, hasty).path.read_bytes() == CONTENT


def test_chunks_tell_where_an_unknown_file_ends(site, cache, hasty):
    body = b"%x\r\n%s\r\n" % (1000, CONTENT[:1000])
    site.script = [raw(body + b"0\r\n\r\n", Transfer_Encoding="chunked")]
    file = model(site.url())
    assert fetch_file(file, cache, hasty).path.read_bytes() == CONTENT[:1000]


@pytest.mark.parametrize(
    "broken",
    [
        raw(b"%x\r\n%s" % (1000, CONTENT[:900]), Transfer_Encoding="chunked"),
        raw(CONTENT[:900], Content_Length=1000),
        drop_after(900),
    ],
    ids=["chunked", "length", "reset"],
)
def test_a_broken_connection_is_not_taken_for_the_end(site, cache, hasty, broken):
    """Even if no size or hash is on record."""
    site.etag = None
    site.script = [broken]
    file = model(site.url())
    with pytest.raises(FetchError, match=r"3 times in a row"):
        fetch_file(file, cache, hasty)
    assert cache.find(file) is None
    assert cache.trust(file) == "unverified"


def test_a_body_that_ends_with_the_connection_is_taken_only_if_something_is_on_record(site, cache, hasty):
    site.script = [raw(CONTENT)]
    file = model(site.url())
    with pytest.raises(FetchError, match="tells no length, and no size or hash is on record"):
        fetch_file(file, cache, hasty)
    assert left_behind(cache) == []
    file = model(site.url(), sha1=PINNED["sha1"])
    assert fetch_file(file, cache, hasty).path.read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (HTML, "delivered an HTML page"),
        (LFS_POINTER, "delivered a Git LFS pointer"),
        (b"", "delivered nothing"),
        (b"%PDF-1.7" + bytes(600), "delivered a PDF"),
    ],
    ids=["html", "lfs", "nothing", "pdf"],
)
@pytest.mark.parametrize("on_record", [{}, PINNED], ids=["unpinned", "pinned"])
def test_what_is_no_model_is_named_and_never_recorded(site, cache, hasty, body, message, on_record):
    site.script = [answer(body)]
    file = model(site.url(), **on_record)
    with pytest.raises(FetchError, match=message):
        fetch_file(file, cache, hasty)
    assert cache.trust(file) == ("pinned" if on_record else "unverified")
    assert left_behind(cache) == []


def test_an_error_in_words_is_not_recorded_as_weights(site, cache, hasty):
    site.script = [answer(b'{"error": {"code": "accessDenied"}}')]
    file = model(site.url())
    with pytest.raises(FetchError, match=r"delivered text instead of weights: '\{\"error\""):
        fetch_file(file, cache, hasty)
    assert left_behind(cache) == []


def test_an_ascii_t7_is_text_and_may_be_weights(site, cache, hasty):
    site.script = [answer(b"4\n1\n3\nV 1\n13\nnn.Sequential\n3\n2\n")]
    file = model(site.url(), name="tiny.t7")
    assert fetch_file(file, cache, hasty).path.name == "tiny.t7"


def test_the_next_source_is_tried_and_the_failures_are_told(site, cache, hasty):
    site.routes = {"/gone": status(404), "/other": answer(CONTENT[::-1]), "/good": serve}
    urls = [site.url(path) for path in ("/gone", "/other", "/good")]
    file = model(*urls, sha256=PINNED["sha256"])
    fetched = fetch_file(file, cache, hasty)
    assert fetched.source == urls[2]
    assert fetched.path.read_bytes() == CONTENT
    reversed_sha256 = hashlib.sha256(CONTENT[::-1]).hexdigest()
    assert fetched.failed == (
        FailedSource(urls[0], "HTTP 404 Not Found"),
        FailedSource(
            urls[1],
            f"not the file on record\n  sha256: expected {PINNED['sha256']}, came {reversed_sha256}",
        ),
    )
    assert left_behind(cache) == stored()


def test_when_all_fail_the_error_says_how_to_do_it_by_hand(site, cache, hasty):
    site.routes = {"/gone": status(404), "/busy": status(503)}
    file = model(site.url("/gone"), site.url("/busy"), sha1=PINNED["sha1"])
    with pytest.raises(FetchError) as caught:
        fetch_file(file, cache, hasty)
    assert str(caught.value).splitlines() == [
        "tiny: no source delivered tiny.caffemodel",
        f"  {site.url('/gone')}",
        "    HTTP 404 Not Found",
        f"  {site.url('/busy')}",
        "    HTTP 503 Service Unavailable; 3 times in a row",
        "  to get it by hand: save it with a browser, from",
        f"    {site.url('/gone')}",
        f"    {site.url('/busy')}",
        "  and run",
        "    dsd-zoo add tiny SAVED_FILE --as tiny.caffemodel",
        f"  the right file has sha1 {PINNED['sha1']}",
    ]


def test_the_error_says_that_nothing_is_on_record(cache, hasty):
    file = model()
    with pytest.raises(FetchError) as caught:
        fetch_file(file, cache, hasty)
    assert str(caught.value).splitlines() == [
        "tiny: no source delivered tiny.caffemodel",
        "  no source is known",
        "  to get it by hand: find tiny.caffemodel",
        "  and run",
        "    dsd-zoo add tiny SAVED_FILE --as tiny.caffemodel",
        "  no size or hash of the right file is known: what you add is put on record as the right one",
    ]


def test_an_unreachable_server_is_tried_once(cache, hasty):
    file = model("http://127.0.0.1:9/w")
    with pytest.raises(FetchError, match=r"connection failed: .*refused\n"):
        fetch_file(file, cache, hasty)
    file = model("http://nowhere.invalid/w")
    with pytest.raises(FetchError, match=r"connection failed: .*"):
        fetch_file(file, cache, hasty)


def test_a_proxy_that_is_not_there_is_named(cache, hasty, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    file = model("http://example.invalid/w")
    with pytest.raises(FetchError, match=r"the proxy does not let it through: .*; see HTTPS_PROXY"):
        fetch_file(file, cache, hasty)


def test_a_proxy_is_used(site, cache, hasty, monkeypatch):
    """A proxy gets the whole URL as the path of the request."""
    site.routes = {"http://models.invalid/w": serve}
    monkeypatch.setenv("HTTP_PROXY", site.url(""))
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    file = model("http://models.invalid/w", **PINNED)
    assert fetch_file(file, cache, hasty).path.read_bytes() == CONTENT
    assert [path for path, _ in site.requests] == ["http://models.invalid/w"]


def test_certificates_are_checked_and_ones_own_authority_can_be_named(cache, hasty, certificate, monkeypatch):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, certificate.with_name("key.pem"))
    with running(tls) as site:
        file = model(site.url(), **PINNED)
        with pytest.raises(
            FetchError, match=r"no trusted connection: .*certificate.*REQUESTS_CA_BUNDLE=FILE"
        ):
            fetch_file(file, cache, hasty)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
        assert fetch_file(file, cache, hasty).path.read_bytes() == CONTENT


def test_a_compressed_body_is_decompressed(site, cache, hasty):
    """A server may compress although asked not to; the announced length is then not that of the file."""
    site.script = [answer(gzip.compress(CONTENT), Content_Encoding="gzip")]
    file = model(site.url(), **PINNED)
    assert fetch_file(file, cache, hasty).path.read_bytes() == CONTENT
    assert site.requests[0][1]["Accept-Encoding"] == "identity"


@pytest.mark.parametrize("encoding", ["gzip, gzip", "br", "zstd", "x" * 5000])
def test_a_body_compressed_otherwise_is_refused(site, cache, hasty, encoding):
    """A few bytes of it could be gigabytes."""
    site.script = [answer(gzip.compress(gzip.compress(CONTENT)), Content_Encoding=encoding)]
    file = model(site.url(), **PINNED)
    with pytest.raises(FetchError, match="nobody asked for") as caught:
        fetch_file(file, cache, hasty)
    assert len(str(caught.value)) < 1000


def test_a_silent_server_is_given_up(site, cache, hasty):
    site.script = [silent(1.0)]
    file = model(site.url())
    hastier = replace(hasty, retry_policy=replace(hasty.retry_policy, read_timeout=0.2))
    with pytest.raises(FetchError, match=r"silent for 0\.2 s; 3 times in a row"):
        fetch_file(file, cache, hastier)


def test_offline_uses_file_urls_only(site, cache, hasty, tmp_path):
    offline = replace(hasty, offline=True)
    file = model(site.url(), **PINNED)
    with pytest.raises(FetchError, match="not tried: --offline"):
        fetch_file(file, cache, offline)
    local = tmp_path / "a copy with 100 %.caffemodel"
    local.write_bytes(CONTENT)
    file = model(site.url(), local.as_uri(), **PINNED)
    assert fetch_file(file, cache, offline).source == local.as_uri()
    assert site.requests == []


@pytest.mark.parametrize(
    ("url", "message"),
    [("file:///nowhere/x", "no such file"), ("file://server/share/x", "names a file of this machine")],
)
def test_a_file_url_that_leads_nowhere_is_a_failed_source(cache, hasty, url, message):
    file = model(url)
    with pytest.raises(FetchError, match=message):
        fetch_file(file, cache, hasty)


def test_a_mirror_is_asked_first(site, cache, hasty):
    site.routes = {"/mirror/tiny/tiny.caffemodel": serve, "/w": status(500)}
    mirrored = replace(hasty, mirrors=(site.url("/empty/"), site.url("/mirror/")))
    site.routes["/empty/tiny/tiny.caffemodel"] = status(404)
    file = model(site.url(), **PINNED)
    fetched = fetch_file(file, cache, mirrored)
    assert fetched.source == site.url("/mirror/tiny/tiny.caffemodel")
    assert [path for path, _ in site.requests] == [
        "/empty/tiny/tiny.caffemodel",
        "/mirror/tiny/tiny.caffemodel",
    ]


def test_an_unpinned_file_is_recorded_and_must_not_change(site, cache, hasty):
    file = model(site.url())
    assert cache.trust(file) == "unverified"
    first = fetch_file(file, cache, hasty)
    assert cache.trust(file) == "recorded"

    first.path.unlink()
    site.content, site.etag = CONTENT + b"!", '"second"'
    with pytest.raises(IntegrityError) as caught:
        fetch_file(file, cache, hasty)
    changed = hashlib.sha256(CONTENT + b"!").hexdigest()
    assert "not the file that came at first use" in str(caught.value)
    assert f"expected {PINNED['sha256']}, came {changed}" in str(caught.value)
    assert "dsd-zoo add tiny FILE --replace" in str(caught.value)
    assert cache.find(file) is None
    assert left_behind(cache) == ["index.json"]

    site.content = CONTENT
    assert fetch_file(file, cache, hasty).path.read_bytes() == CONTENT


def test_a_disk_without_room_is_told_before_the_download(site, cache, hasty, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000})())
    file = model(site.url(), **PINNED)
    with pytest.raises(UsageError, match=r"no room for tiny\.caffemodel: 1,\d\d\d,\d\d\d bytes are needed"):
        fetch_file(file, cache, hasty)
    assert cache.find(file) is None


class _Recorder(DownloadProgress):
    def __init__(self) -> None:
        self.seen: list[tuple[int, int | None]] = []
        self.notes: list[str] = []

    def update(self, done: int, total: int | None) -> None:
        self.seen.append((done, total))

    def note(self, text: str) -> None:
        self.notes.append(text)


def test_progress_ends_at_the_full_size_and_tells_of_breaks(site, cache, hasty):
    site.script = [drop_after(500_000), serve]
    file = model(site.url())
    told = _Recorder()
    fetch_file(file, cache, hasty, told)
    assert told.seen[-1] == (len(CONTENT), len(CONTENT))
    assert [done for done, _ in told.seen] == sorted(done for done, _ in told.seen)
    (note,) = told.notes
    assert note.endswith("; again in 0 s")


def test_the_file_url_of_a_folder_is_no_file(cache, hasty, tmp_path: Path):
    file = model(tmp_path.as_uri())
    with pytest.raises(FetchError, match="no such file"):
        fetch_file(file, cache, hasty)
