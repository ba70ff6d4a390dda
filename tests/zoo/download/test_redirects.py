"""Redirects: how many are followed, where to, and what another host is told."""

from __future__ import annotations

import ssl
from dataclasses import replace

import pytest
from misbehaving_server import CONTENT, answer, known, model, running, serve, status

from zoo.download import RetryPolicy, fetch_file
from zoo.download.http import HttpSource, request_json
from zoo.download.redirects import MAX_REDIRECTS
from zoo.download.stream import SourceError, Validators
from zoo.errors import FetchError

PINNED = known()
SECRETS = {"Authorization": "Bearer x", "AppId": "y", "Cookie": "z"}


def test_redirects_are_followed_and_loops_end(site, cache, hasty):
    site.routes = {
        "/old": status(302, Location=site.url("/new")),
        "/new": serve,
        "/loop": status(302, Location=site.url("/loop")),
    }
    file = model(site.url("/loop"), site.url("/old"), **PINNED)
    fetched = fetch_file(file, cache, hasty)
    assert fetched.path.read_bytes() == CONTENT
    (failed,) = fetched.failed
    assert failed.reason == f"redirects more than 10 times, last to {site.url('/loop')}"
    assert [path for path, _ in site.requests].count("/loop") == 11


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("count", [1, MAX_REDIRECTS])
def test_every_kind_of_redirect_leads_on_also_by_a_relative_address(site, cache, hasty, code, count):
    site.script = [*(status(code, Location="next?a=b") for _ in range(count)), serve]
    assert fetch_file(model(site.url("/folder/w"), **PINNED), cache, hasty).path.read_bytes() == CONTENT
    assert [path for path, _ in site.requests] == ["/folder/w", *["/folder/next?a=b"] * count]


def test_a_resumed_download_asks_for_the_rest_behind_the_redirect(site, hasty):
    site.routes = {"/w": status(302, Location="/real"), "/real": serve}
    validators = Validators(etag=site.etag, size=len(CONTENT))
    with HttpSource(site.url(), hasty.retry_policy).open(1000, validators) as stream:
        assert stream.start == 1000
        assert b"".join(stream.chunks) == CONTENT[1000:]
        assert stream.url == site.url("/real")
    assert [headers["If-Range"] for _, headers in site.requests] == [site.etag] * 2


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("file:///etc/passwd", "redirects to file:///etc/passwd, which is no http:// or https:// address"),
        ("ftp://127.0.0.1/w", "which is no http:// or https:// address"),
        ("http://[", "which is no http:// or https:// address"),
        ("http://a:99999999/w", "which is no http:// or https:// address"),
        ("https:///w", "which is no http:// or https:// address"),
    ],
)
def test_a_redirect_to_no_web_address_is_refused(site, cache, hasty, location, message):
    site.script = [status(302, Location=location)]
    with pytest.raises(FetchError) as caught:
        fetch_file(model(site.url()), cache, hasty)
    assert message in str(caught.value)
    assert len(site.requests) == 1


def test_a_redirect_without_an_address_is_no_content(site, cache, hasty):
    site.script = [answer(CONTENT, 302)]
    with pytest.raises(FetchError, match="HTTP 302 Found"):
        fetch_file(model(site.url()), cache, hasty)


def test_https_is_never_left(site, cache, hasty, certificate, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, certificate.with_name("key.pem"))
    with running(tls) as secure:
        secure.script = [status(302, Location=site.url("/plain"))]
        with pytest.raises(FetchError, match=r"redirects from https to http://127\.0\.0\.1:"):
            fetch_file(model(secure.url(), **PINNED), cache, hasty)
        assert not site.requests
        site.script = [status(302, Location=secure.url("/secure"))]
        secure.script = [serve]
        assert fetch_file(model(site.url(), **PINNED), cache, hasty).path.read_bytes() == CONTENT


def test_another_host_is_told_no_secrets(site, hasty):
    elsewhere = site.url("/elsewhere").replace("127.0.0.1", "localhost")
    site.routes = {
        "/first": status(302, Location="/second"),
        "/second": status(307, Location=elsewhere),
        "/elsewhere": status(302, Location=site.url("/back")),
        "/back": serve,
    }
    with HttpSource(site.url("/first"), hasty.retry_policy, headers=SECRETS).open(0, Validators()) as stream:
        assert b"".join(stream.chunks) == CONTENT
    told = [SECRETS.keys() & headers.keys() for _, headers in site.requests]
    assert told == [SECRETS.keys(), SECRETS.keys(), set(), set()]
    assert all(headers["User-Agent"].startswith("dsd-zoo/") for _, headers in site.requests)


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_post_stays_one_unless_the_server_asks_for_a_get(site, hasty, code):
    site.routes = {"/old": status(code, Location="/new"), "/new": answer(b'{"a": 1}')}
    assert request_json(site.url("/old"), hasty.retry_policy, {}, {"b": 2}) == {"a": 1}
    assert site.bodies == [b'{"b": 2}'] * (1 if code == 303 else 2)


def test_the_message_of_an_api_is_part_of_the_error(site, hasty):
    policy = replace(hasty.retry_policy, max_delay=RetryPolicy().max_delay)
    site.script = [answer(b'{"message": "over its\\u001b[2J data quota"}', 403)]
    with pytest.raises(SourceError, match=r"^HTTP 403 Forbidden: over its \[2J data quota$"):
        request_json(site.url(), policy, {})
    for body in (b"no JSON", b"[]", b'{"message": 3}', b"[" * 100_000):
        site.script = [answer(body, 403)]
        with pytest.raises(SourceError, match=r"^HTTP 403 Forbidden$"):
            request_json(site.url(), policy, {})


def test_the_body_of_a_redirect_is_not_read(site, cache, hasty):
    def endless(handler, site):
        handler.begin(302, Location="/real", Content_Length=1 << 40)
        handler.wfile.write(b"x" * 1000)

    site.routes = {"/w": endless, "/real": serve}
    assert fetch_file(model(site.url(), **PINNED), cache, hasty).path.read_bytes() == CONTENT


def test_an_address_with_a_malformed_host_is_refused(hasty):
    with pytest.raises(SourceError, match="is no address that can be asked"):
        request_json("h0ttp://[ocalhost/w", hasty.retry_policy, {})
