"""OneDrive share links, against a server with the protocol of the real services."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import replace

import pytest
from misbehaving_server import (
    CONTENT,
    Behaviour,
    Handler,
    Site,
    answer,
    drop_after,
    left_behind,
    model,
    serve,
    status,
    stored,
)

from zoo.download import Network, fetch_file
from zoo.download.onedrive import Services, is_share_link
from zoo.errors import FetchError

LINK = "https://1drv.ms/u/s!AkOf0kjGMRd2bgMQDqHa43dNYVM"
SHARE = "u!" + base64.urlsafe_b64encode(LINK.encode()).decode().rstrip("=")
TOKEN = "a.b.c"


def json_answer(data: object, code: int = 200) -> Behaviour:
    return answer(json.dumps(data).encode(), code, Content_Type="application/json")


def item(handler: Handler, site: Site) -> None:
    """The record of the shared item, for requests with the token."""
    if handler.headers["Authorization"] != f"Badger {TOKEN}" or handler.headers["Prefer"] != "autoredeem":
        json_answer({"error": {"code": "unauthenticated"}}, 401)(handler, site)
        return
    record = {
        "name": "tiny.caffemodel",
        "size": len(site.content),
        "file": {"hashes": {"sha1Hash": hashlib.sha1(CONTENT).hexdigest().upper(), "quickXorHash": "x="}},
        "@content.downloadUrl": site.url(f"/download?tempauth={len(site.requests)}"),
    }
    json_answer(record)(handler, site)


@pytest.fixture
def onedrive(site) -> dict[str, Behaviour]:
    """The services as they work today; each test changes one of them."""
    site.routes = {
        "/token": json_answer({"authScheme": "badger", "token": TOKEN}),
        f"/new/{SHARE}/driveitem": item,
        f"/old/{SHARE}/driveItem": status(404),
        f"/old/{SHARE}/root/content": status(401),
        "/link": status(403),
        "/download": serve,
    }
    return site.routes


@pytest.fixture
def network(site, hasty) -> Network:
    services = Services(
        token=site.url("/token"),
        items=(site.url("/new/{share}/driveitem"), site.url("/old/{share}/driveItem")),
        contents=(site.url("/old/{share}/root/content"), site.url("/link?download=1&of={link}")),
    )
    return replace(hasty, onedrive=services)


def test_the_real_services_are_the_documented_ones():
    services = Services()
    assert services.token == "https://api-badgerp.svc.ms/v1.0/token"
    assert [url.format(share=SHARE, link=LINK) for url in (*services.items, *services.contents)] == [
        f"https://my.microsoftpersonalcontent.com/_api/v2.0/shares/{SHARE}/driveitem",
        f"https://api.onedrive.com/v1.0/shares/{SHARE}/driveItem",
        f"https://api.onedrive.com/v1.0/shares/{SHARE}/root/content",
        f"{LINK}?download=1",
    ]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (LINK, True),
        ("https://onedrive.live.com/redir?resid=1", True),
        ("https://1drv.ms.example.org/u/x", False),
        ("https://example.org/1drv.ms", False),
    ],
)
def test_share_links_are_known_by_their_host(url, expected):
    assert is_share_link(url) is expected


def test_the_anonymous_token_opens_the_share(site, cache, network, onedrive):
    file = model(LINK)
    fetched = fetch_file(file, cache, network)
    assert fetched.path.read_bytes() == CONTENT
    assert fetched.failed == ()
    assert [path.split("?")[0] for path, _ in site.requests] == [
        "/token",
        f"/new/{SHARE}/driveitem",
        "/download",
    ]
    headers = {name.lower(): value for name, value in site.requests[0][1].items()}
    assert headers["appid"] == "1141147648"
    assert json.loads(site.bodies[0]) == {"appId": "5cbed6ac-a083-4e14-b191-b4ba07653de2"}
    assert "Authorization" not in site.requests[2][1]
    assert left_behind(cache) == stored()


def test_a_break_asks_for_a_new_download_url_and_goes_on(site, cache, network, onedrive):
    del onedrive["/download"]
    site.script = [drop_after(500_000), serve]
    file = model(LINK)
    assert fetch_file(file, cache, network).path.read_bytes() == CONTENT
    downloads = [(path, headers) for path, headers in site.requests if path.startswith("/download")]
    assert len(downloads) == 2
    assert downloads[0][0] != downloads[1][0]
    assert downloads[1][1]["Range"].startswith("bytes=")


def test_the_older_ways_follow_in_order(site, cache, network, onedrive):
    onedrive["/token"] = status(403)
    onedrive["/link"] = serve
    file = model(LINK)
    fetched = fetch_file(file, cache, network)
    assert fetched.path.read_bytes() == CONTENT
    assert [failure.reason for failure in fetched.failed] == [
        "the token service: HTTP 403 Forbidden",
        "the token service: HTTP 403 Forbidden",
        "HTTP 401 Unauthorized",
    ]
    assert fetched.source == f"{LINK} through 127.0.0.1/.../link"


def test_when_every_way_fails_each_is_told_with_its_status(site, cache, network, onedrive):
    onedrive[f"/new/{SHARE}/driveitem"] = json_answer({"error": {"code": "accessDenied"}}, 403)
    onedrive["/link"] = answer(b"<html>Sign in</html>")
    file = model(LINK)
    with pytest.raises(FetchError) as caught:
        fetch_file(file, cache, network)
    assert str(caught.value).splitlines() == [
        "tiny: no source delivered tiny.caffemodel",
        f"  {LINK} through 127.0.0.1/.../driveitem",
        "    the share: HTTP 403 Forbidden",
        f"  {LINK} through 127.0.0.1/.../driveItem",
        "    the share: HTTP 404 Not Found",
        f"  {LINK} through 127.0.0.1/.../content",
        "    HTTP 401 Unauthorized",
        f"  {LINK} through 127.0.0.1/.../link",
        "    delivered an HTML page (a download link that led to a web page?), not a model: download the "
        "file again",
        "  to get it by hand: save it with a browser, from",
        f"    {LINK}",
        "  and run",
        "    dsd-zoo add tiny SAVED_FILE --as tiny.caffemodel",
        "  no size or hash of the right file is known: what you add is put on record as the right one",
    ]
    assert left_behind(cache) == []


@pytest.mark.parametrize(
    ("route", "behaviour", "message"),
    [
        ("/token", json_answer({"token": None}), "the token service: gave no token"),
        ("/token", json_answer([]), "the token service: answered JSON that is no object"),
        ("/token", answer(b"<html>"), "the token service: answered something else than JSON"),
        ("/token", answer(b"\xff" * 100), "the token service: answered something else than JSON"),
        ("/token", status(503), r"the token service: HTTP 503 Service Unavailable; 3 times in a row"),
        ("item", json_answer({"folder": {"childCount": 3}}), "leads to a folder, not to a file"),
        ("item", json_answer({"name": "x"}), r"the record of the item has no @content\.downloadUrl"),
        ("item", json_answer({"@content.downloadUrl": 3}), r"has no @content\.downloadUrl"),
        ("item", status(401), "the share: HTTP 401 Unauthorized"),
        ("/download", status(404), "HTTP 404 Not Found"),
        ("/download", answer(b"{}"), r"the item has 1280000 bytes, its download URL 2"),
    ],
)
def test_useless_answers_are_named_in_the_error(cache, network, onedrive, route, behaviour, message):
    onedrive[f"/new/{SHARE}/driveitem" if route == "item" else route] = behaviour
    file = model(LINK)
    with pytest.raises(FetchError, match=message):
        fetch_file(file, cache, network)
    assert left_behind(cache) == []


def test_bytes_that_contradict_the_hash_in_the_record_are_not_taken(site, cache, network, onedrive):
    """With nothing on record, only OneDrive's own hash shows that the bytes are wrong."""
    onedrive["/download"] = answer(CONTENT[::-1])
    file = model(LINK)
    with pytest.raises(FetchError, match="delivered other bytes than it says: sha1"):
        fetch_file(file, cache, network)
    assert cache.trust(file) == "unverified"
    assert left_behind(cache) == []


def test_offline_asks_none_of_them(site, cache, network, onedrive):
    file = model(LINK)
    with pytest.raises(FetchError) as caught:
        fetch_file(file, cache, replace(network, offline=True))
    assert str(caught.value).count("not tried: --offline") == 4
    assert site.requests == []
