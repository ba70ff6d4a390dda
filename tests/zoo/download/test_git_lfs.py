"""Files that a repository keeps by Git LFS, against a server with the documented protocol."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace

import pytest
from misbehaving_server import (
    CONTENT,
    Behaviour,
    Handler,
    Site,
    answer,
    drop_after,
    known,
    left_behind,
    model,
    serve,
    status,
    stored,
)

from zoo.download import Network, fetch_file, git_lfs
from zoo.download.git_lfs import MEDIA_TYPE, Pointer, read_pointer
from zoo.errors import FetchError, IntegrityError

SHA256 = hashlib.sha256(CONTENT).hexdigest()
POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{SHA256}\nsize {len(CONTENT)}\n".encode()
RAW, BATCH = "/raw/o/n/main/net.caffemodel", "/o/n.git/info/lfs/objects/batch"


def json_answer(data: object, code: int = 200) -> Behaviour:
    return answer(json.dumps(data).encode(), code, Content_Type=MEDIA_TYPE)


def batch(**action: object) -> Behaviour:
    """The answer about the object; `action` is that of its download."""
    found = {"oid": SHA256, "size": len(CONTENT), "actions": {"download": action}}
    return json_answer({"transfer": "basic", "objects": [found]})


@pytest.fixture
def network(site, hasty) -> Network:
    """Repositories of the server; the object wants the header that the Batch API told."""

    def stored_object(handler: Handler, site: Site) -> None:
        told = handler.headers["Authorization"] == "RemoteAuth x"
        (serve if told else status(401))(handler, site)

    site.routes = {
        RAW: answer(POINTER, Content_Type="text/plain"),
        BATCH: batch(href=site.url("/object"), header={"Authorization": "RemoteAuth x"}, expires_in=3600),
        "/object": stored_object,
    }
    services = git_lfs.Services(
        files=(re.escape(site.url("/raw/")) + r"(?P<owner>[^/]+)/(?P<name>[^/]+)/.+",),
        batch=site.url("/{owner}/{name}.git/info/lfs/objects/batch"),
    )
    return replace(hasty, git_lfs=services)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "https://raw.githubusercontent.com/o/n/0ab/a/b.t7",
            "https://github.com/o/n.git/info/lfs/objects/batch",
        ),
        ("https://github.com/o/n/raw/main/b.t7", "https://github.com/o/n.git/info/lfs/objects/batch"),
        ("https://github.com/o/n/releases/download/v1/b.t7", None),
        ("https://example.org/github.com/o/n/raw/main/b.t7", None),
    ],
)
def test_files_of_github_repositories_are_known_by_their_urls(hasty, url, expected):
    (source,) = hasty.sources(model(url))
    assert getattr(source, "batch", None) == expected


@pytest.mark.parametrize("on_record", [{}, known()], ids=["unpinned", "pinned"])
def test_a_pointer_leads_to_the_file(site, cache, network, on_record):
    fetched = fetch_file(model(site.url(RAW), **on_record), cache, network)
    assert (fetched.path.read_bytes(), fetched.source) == (CONTENT, site.url(RAW))
    assert left_behind(cache) == stored()
    assert [path for path, _ in site.requests] == [RAW, BATCH, "/object"]
    headers = site.requests[1][1]
    assert (headers["Accept"], headers["Content-Type"]) == (MEDIA_TYPE, MEDIA_TYPE)
    assert json.loads(site.bodies[0]) == {
        "operation": "download",
        "transfers": ["basic"],
        "objects": [{"oid": SHA256, "size": len(CONTENT)}],
    }


@pytest.mark.parametrize(
    "content", [CONTENT, CONTENT[:300], b"name: 'net'\n"], ids=["large", "small", "text"]
)
def test_a_file_that_git_has_itself_comes_at_once(site, cache, network, content):
    site.routes[RAW] = answer(content)
    assert fetch_file(model(site.url(RAW), **known(content)), cache, network).path.read_bytes() == content
    assert len(site.requests) == 1


@pytest.mark.parametrize("raw", [answer(POINTER), status(416)], ids=["whole pointer", "no such range"])
def test_a_break_goes_on_where_it_was(site, cache, network, raw):
    """The rest is asked for where the pointer lies too, which has no such bytes."""
    whole = site.routes["/object"]

    def first(handler: Handler, site: Site) -> None:
        site.routes["/object"] = whole
        site.routes[RAW] = later
        drop_after(500_000)(handler, site)

    def later(handler: Handler, site: Site) -> None:
        (raw if handler.headers["Range"] else answer(POINTER))(handler, site)

    site.routes["/object"] = first
    assert fetch_file(model(site.url(RAW), **known()), cache, network).path.read_bytes() == CONTENT
    starts = [headers.get("Range") for path, headers in site.requests if path == "/object"]
    assert starts[0] is None
    assert all(int(start.removeprefix("bytes=").rstrip("-")) > 0 for start in starts[1:])


def test_a_pointer_to_another_file_than_the_one_on_record_is_refused_before_it_comes(site, cache, network):
    with pytest.raises(IntegrityError, match=f"bytes: expected 7, came {len(CONTENT)}"):
        fetch_file(model(site.url(RAW), bytes=7), cache, network)
    assert left_behind(cache) == []


def test_other_bytes_than_the_pointer_says_are_refused(site, cache, network):
    site.routes["/object"] = answer(CONTENT[::-1])
    with pytest.raises(FetchError, match="delivered other bytes than it says: sha256"):
        fetch_file(model(site.url(RAW)), cache, network)
    site.routes["/object"] = answer(CONTENT[:100])
    with pytest.raises(FetchError, match="the Git LFS pointer is of 1280000 bytes, the server has 100"):
        fetch_file(model(site.url(RAW)), cache, network)
    assert left_behind(cache) == []


@pytest.mark.parametrize(
    ("behaviour", "message"),
    [
        (
            json_answer({"objects": [{"oid": SHA256, "error": {"code": 410, "message": "removed\nby x"}}]}),
            "a Git LFS pointer; its server: 410 removed by x",
        ),
        (json_answer({"message": "over its data quota"}, 403), "HTTP 403 Forbidden: over its data quota"),
        (json_answer({"objects": [{"oid": "0" * 64}]}), "the Git LFS server answers about another file: 000"),
        (json_answer({"objects": []}), "its server answers, but names no download"),
        (json_answer({"objects": 3}), "its server answers, but names no download"),
        (json_answer({"objects": [{"oid": SHA256}]}), "its server answers, but names no download"),
        (json_answer({"objects": ["x"]}), "its server answers, but names no download"),
        (batch(href=3), "its server answers, but names no download"),
        (batch(href="x", header=[]), "expected an https:// address"),
        (batch(href="file:///etc/passwd"), "sends to file:///etc/passwd; expected an https:// address"),
        (answer(b"<html>"), "a Git LFS pointer; its server: answered something else than JSON"),
        (status(501), "a Git LFS pointer; its server: HTTP 501"),
    ],
)
def test_what_its_server_says_is_told(site, cache, network, behaviour, message):
    site.routes[BATCH] = behaviour
    with pytest.raises(FetchError) as caught:
        fetch_file(model(site.url(RAW)), cache, network)
    assert message in str(caught.value)
    assert left_behind(cache) == []


def test_a_pointer_from_elsewhere_is_named(site, cache, hasty):
    site.script = [answer(POINTER)]
    with pytest.raises(FetchError, match="delivered a Git LFS pointer, not the file it points to"):
        fetch_file(model(site.url()), cache, hasty)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (POINTER, Pointer(SHA256, len(CONTENT))),
        (POINTER.replace(b"git-lfs.github", b"hawser.github"), Pointer(SHA256, len(CONTENT))),
        (POINTER.replace(b"oid", b"ext-0-a sha256:1\noid"), Pointer(SHA256, len(CONTENT))),
        (POINTER[:-1], None),
        (POINTER.replace(b"sha256", b"sha512"), None),
        (POINTER + b"x y\n" * 300, None),
        (b"name: 'net'\n" + POINTER, None),
        (b"version https://git-lfs.github.com/spec/v1\n" + b"a b\n" * 240, None),
    ],
)
def test_pointers_are_read_as_specified(text, expected):
    assert read_pointer(text) == expected
