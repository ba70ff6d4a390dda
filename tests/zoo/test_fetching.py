"""Fetching from a real HTTP server that does what servers do, and from file:// URLs."""

from __future__ import annotations

import hashlib
import multiprocessing
import time
from pathlib import Path

import pytest
from werkzeug import Request, Response

from zoo.cache import Cache
from zoo.digests import Digests, digest_file
from zoo.download import Attempt, fetch_file
from zoo.download.http import open_http
from zoo.download.stream import SourceError
from zoo.errors import FetchError, IntegrityError
from zoo.manifest import File, Manifest

CONTENT = bytes(range(256)) * 5000
HTML = b"<!DOCTYPE html>\n<html><body>Sign in to continue</body></html>\n"
LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 1280000\n"
PINNED: dict[str, object] = {
    "bytes": len(CONTENT),
    "sha256": hashlib.sha256(CONTENT).hexdigest(),
    "sha384": hashlib.sha384(CONTENT).hexdigest(),
    "sha1": hashlib.sha1(CONTENT).hexdigest(),
    "git_blob": hashlib.sha1(b"blob 1280000\0" + CONTENT).hexdigest(),
}


def model(*urls: str, **known: object) -> tuple[Manifest, File]:
    manifest = Manifest.model_validate(
        {
            "schema_version": 1,
            "name": "tiny",
            "title": "Tiny",
            "summary": "A net for tests.",
            "architecture": "tiny",
            "recipe": "dense",
            "framework": "caffe",
            "dataset": "digits-test",
            "classes": 10,
            "input_shape": [3, 32, 32],
            "citation": "nobody",
            "license": {"name": "BSD-2-Clause"},
            "preprocessing": {"flavour": "caffe-warp36", "crop": 32},
            "files": [{"name": "tiny.caffemodel", "role": "weights", "urls": urls, **known}],
        }
    )
    return manifest, manifest.files[0]


@pytest.fixture
def store(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def left_behind(store: Cache) -> list[Path]:
    """Everything in the cache but locks: what was stored, and what should have been cleaned up."""
    return [path for path in store.root.rglob("*") if path.is_file() and path.parent.name not in ("locks",)]


def test_a_good_file_is_stored_and_recorded(httpserver, store):
    httpserver.expect_oneshot_request("/w").respond_with_data(CONTENT)
    manifest, file = model(httpserver.url_for("/w"), **PINNED)
    fetched = fetch_file(manifest, file, store)
    assert fetched.path.read_bytes() == CONTENT
    assert fetched.path.name == "tiny.caffemodel"
    assert fetched.source == httpserver.url_for("/w")
    assert store.find(manifest, file) == fetched.path
    assert store.trust(manifest, file) == "pinned"
    record = store.record(manifest, file)
    assert record is not None
    assert record.digests == Digests(**PINNED)
    assert sorted(left_behind(store)) == sorted([fetched.path, store.root / "index.json"])


def test_what_is_here_is_not_fetched_again(httpserver, store):
    httpserver.expect_oneshot_request("/w").respond_with_data(CONTENT)
    manifest, file = model(httpserver.url_for("/w"), **PINNED)
    first = fetch_file(manifest, file, store)
    assert fetch_file(manifest, file, store).source is None
    assert fetch_file(manifest, file, store, offline=True).path == first.path
    assert len(httpserver.log) == 1


@pytest.mark.parametrize("kind", ["sha256", "sha384", "sha1", "git_blob"])
def test_each_kind_of_hash_alone_pins_the_content(httpserver, store, kind):
    httpserver.expect_request("/w").respond_with_data(CONTENT)
    manifest, file = model(httpserver.url_for("/w"), **{kind: PINNED[kind]})
    assert fetch_file(manifest, file, store).path.read_bytes() == CONTENT

    wrong = "0" * len(str(PINNED[kind]))
    manifest, file = model(httpserver.url_for("/w"), **{kind: wrong})
    with pytest.raises(IntegrityError, match=rf"{kind}: expected {wrong}, came {PINNED[kind]}"):
        fetch_file(manifest, file, store)
    assert store.find(manifest, file) is None


def test_a_git_blob_id_is_checked_even_if_nobody_tells_the_size(httpserver, store):
    def chunked(_: Request) -> Response:
        return Response(CONTENT[i : i + 100_000] for i in range(0, len(CONTENT), 100_000))

    httpserver.expect_request("/w").respond_with_handler(chunked)
    manifest, file = model(httpserver.url_for("/w"), git_blob=PINNED["git_blob"])
    assert fetch_file(manifest, file, store).path.read_bytes() == CONTENT


@pytest.mark.parametrize("difference", [-1, 1])
def test_another_size_than_declared_is_refused(httpserver, store, difference):
    httpserver.expect_request("/w").respond_with_data(CONTENT)
    size = len(CONTENT) + difference
    manifest, file = model(httpserver.url_for("/w"), bytes=size)
    with pytest.raises(IntegrityError, match=f"bytes: expected {size}, came {len(CONTENT)}"):
        fetch_file(manifest, file, store)
    assert left_behind(store) == []


def test_more_bytes_than_declared_stop_the_download(httpserver, store):
    sent = []

    def endless(_: Request) -> Response:
        def body():
            for _ in range(1000):
                sent.append(1)
                yield bytes(1 << 20)

        return Response(body())

    httpserver.expect_request("/w").respond_with_handler(endless)
    manifest, file = model(httpserver.url_for("/w"), bytes=1000)
    with pytest.raises(IntegrityError, match="bytes: expected 1000, more came"):
        fetch_file(manifest, file, store)
    assert len(sent) < 1000
    assert left_behind(store) == []


def test_a_truncated_body_is_a_failed_source(httpserver, store):
    def truncated(_: Request) -> Response:
        return Response(
            iter([CONTENT[:1000]]), headers={"Content-Length": str(len(CONTENT)), "Connection": "close"}
        )

    httpserver.expect_request("/w").respond_with_handler(truncated)
    manifest, file = model(httpserver.url_for("/w"), **PINNED)
    with pytest.raises(FetchError, match="1000 bytes read"):
        fetch_file(manifest, file, store)
    assert left_behind(store) == []


def test_a_body_without_announced_size_that_ends_early_is_a_failed_source(httpserver, store):
    httpserver.expect_request("/w").respond_with_handler(lambda _: Response(iter([CONTENT[:1000]])))
    manifest, file = model(httpserver.url_for("/w"), bytes=len(CONTENT))
    with pytest.raises(FetchError, match=f"broke off after 1000 of {len(CONTENT)} bytes"):
        fetch_file(manifest, file, store)
    assert left_behind(store) == []


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (HTML, "delivered an HTML page"),
        (LFS_POINTER, "delivered a Git LFS pointer"),
        (b"", "delivered nothing"),
    ],
    ids=["html", "lfs", "nothing"],
)
@pytest.mark.parametrize("known", [{}, PINNED], ids=["unpinned", "pinned"])
def test_what_is_no_model_is_named_and_never_recorded(httpserver, store, body, message, known):
    httpserver.expect_request("/w").respond_with_data(body)
    manifest, file = model(httpserver.url_for("/w"), **known)
    with pytest.raises(FetchError, match=message):
        fetch_file(manifest, file, store)
    assert left_behind(store) == []


def test_the_next_source_is_tried_and_the_failures_are_told(httpserver, store):
    httpserver.expect_request("/gone").respond_with_data(status=404)
    httpserver.expect_request("/other").respond_with_data(CONTENT[::-1])
    httpserver.expect_request("/good").respond_with_data(CONTENT)
    urls = [httpserver.url_for(path) for path in ("/gone", "/other", "/good")]
    manifest, file = model(*urls, sha256=PINNED["sha256"])
    fetched = fetch_file(manifest, file, store)
    assert fetched.source == urls[2]
    assert fetched.path.read_bytes() == CONTENT
    reversed_sha256 = hashlib.sha256(CONTENT[::-1]).hexdigest()
    assert fetched.failed == (
        Attempt(urls[0], "HTTP 404 NOT FOUND"),
        Attempt(
            urls[1],
            f"not the file on record\n  sha256: expected {PINNED['sha256']}, came {reversed_sha256}",
        ),
    )


def test_when_all_fail_the_error_says_how_to_do_it_by_hand(httpserver, store):
    httpserver.expect_request("/gone").respond_with_data(status=404)
    httpserver.expect_request("/busy").respond_with_data(status=503)
    manifest, file = model(httpserver.url_for("/gone"), httpserver.url_for("/busy"), sha1=PINNED["sha1"])
    with pytest.raises(FetchError) as caught:
        fetch_file(manifest, file, store)
    assert str(caught.value).splitlines() == [
        "tiny: no source delivered tiny.caffemodel",
        f"  {httpserver.url_for('/gone')}",
        "    HTTP 404 NOT FOUND",
        f"  {httpserver.url_for('/busy')}",
        "    HTTP 503 SERVICE UNAVAILABLE",
        "  to get it by hand: download it with a browser, then run",
        "    dsd-zoo add tiny FILE",
        f"  the right file has: sha1 {PINNED['sha1']}",
    ]


def test_a_refused_connection_is_a_failed_source(store):
    manifest, file = model("http://127.0.0.1:9/w")
    with pytest.raises(FetchError, match=r"connection failed: .*refused"):
        fetch_file(manifest, file, store)


def test_a_silent_server_is_given_up(httpserver):
    httpserver.expect_request("/w").respond_with_handler(lambda _: time.sleep(1) or Response(b""))
    with (
        pytest.raises(SourceError, match=r"silent for 0\.05 s"),
        open_http(httpserver.url_for("/w"), 1, 0.05),
    ):
        pass


def test_redirects_are_followed(httpserver, store):
    httpserver.expect_request("/old").respond_with_data(
        status=302, headers={"Location": httpserver.url_for("/new")}
    )
    httpserver.expect_request("/new").respond_with_data(CONTENT)
    manifest, file = model(httpserver.url_for("/old"), **PINNED)
    assert fetch_file(manifest, file, store).path.read_bytes() == CONTENT


def test_offline_touches_no_network_but_files_count(httpserver, store, tmp_path):
    httpserver.expect_request("/w").respond_with_data(CONTENT)
    manifest, file = model(httpserver.url_for("/w"), **PINNED)
    with pytest.raises(FetchError, match="not tried: --offline"):
        fetch_file(manifest, file, store, offline=True)
    assert httpserver.log == []

    local = tmp_path / "a copy with 100 %.caffemodel"
    local.write_bytes(CONTENT)
    manifest, file = model(httpserver.url_for("/w"), local.as_uri(), **PINNED)
    assert fetch_file(manifest, file, store, offline=True).source == local.as_uri()
    assert httpserver.log == []


@pytest.mark.parametrize(
    ("url", "message"),
    [("file:///nowhere/x", "no such file"), ("file://server/share/x", "names a file of this machine")],
)
def test_a_file_url_that_leads_nowhere_is_a_failed_source(store, url, message):
    manifest, file = model(url)
    with pytest.raises(FetchError, match=message):
        fetch_file(manifest, file, store)


def test_an_unpinned_file_is_recorded_and_must_not_change(httpserver, store):
    url = httpserver.url_for("/w")
    httpserver.expect_ordered_request("/w").respond_with_data(CONTENT)
    manifest, file = model(url)
    assert store.trust(manifest, file) == "unverified"
    first = fetch_file(manifest, file, store)
    assert store.trust(manifest, file) == "recorded"

    first.path.unlink()
    httpserver.expect_ordered_request("/w").respond_with_data(CONTENT + b"!")
    with pytest.raises(IntegrityError) as caught:
        fetch_file(manifest, file, store)
    changed = hashlib.sha256(CONTENT + b"!").hexdigest()
    assert "not the file that came at first use" in str(caught.value)
    assert f"expected {PINNED['sha256']}, came {changed}" in str(caught.value)
    assert "dsd-zoo add tiny FILE --replace" in str(caught.value)
    assert store.find(manifest, file) is None

    httpserver.expect_ordered_request("/w").respond_with_data(CONTENT)
    assert fetch_file(manifest, file, store).path.read_bytes() == CONTENT


def test_an_interrupt_leaves_nothing_behind(httpserver, store):
    httpserver.expect_request("/w").respond_with_data(CONTENT)
    manifest, file = model(httpserver.url_for("/w"), **PINNED)

    def interrupt(done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch_file(manifest, file, store, progress=interrupt)
    assert left_behind(store) == []
    assert fetch_file(manifest, file, store).path.read_bytes() == CONTENT


def test_a_full_disk_is_not_blamed_on_the_source(httpserver, store):
    httpserver.expect_request("/w").respond_with_data(CONTENT)
    manifest, file = model(httpserver.url_for("/w"), **PINNED)

    def full(done: int, total: int | None) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left on device"):
        fetch_file(manifest, file, store, progress=full)
    assert left_behind(store) == []


def test_progress_ends_at_the_full_size(httpserver, store):
    httpserver.expect_request("/w").respond_with_data(CONTENT)
    manifest, file = model(httpserver.url_for("/w"))
    seen: list[tuple[int, int | None]] = []
    fetch_file(manifest, file, store, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (len(CONTENT), len(CONTENT))


def _fetch_elsewhere(root: Path, url: str, results: multiprocessing.Queue[str | None]) -> None:
    manifest, file = model(url, **PINNED)
    results.put(fetch_file(manifest, file, Cache(root)).source)


def test_two_processes_fetch_the_same_file_once(httpserver, store):
    def slow(_: Request) -> Response:
        time.sleep(0.5)
        return Response(CONTENT)

    httpserver.expect_request("/w").respond_with_handler(slow)
    url = httpserver.url_for("/w")
    context = multiprocessing.get_context("spawn")
    results: multiprocessing.Queue[str | None] = context.Queue()
    processes = [context.Process(target=_fetch_elsewhere, args=(store.root, url, results)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    assert sorted([results.get(timeout=5), results.get(timeout=5)], key=str) == [None, url]
    assert len(httpserver.log) == 1
    manifest, file = model(url, **PINNED)
    path = store.find(manifest, file)
    assert path is not None
    assert digest_file(path) == Digests(**PINNED)
