"""Links of Google Drive and Dropbox, against a server that answers as they do."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

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

from zoo.download import Network, dropbox, fetch_file, google_drive
from zoo.download.google_drive import MAX_PAGE_BYTES
from zoo.errors import FetchError

PINNED = known()
ID = "0B9mkjlmP0d7zeG1HREVMR2F3WmM"
PAGE = """<!DOCTYPE html><html><head><title>Google Drive - Virus scan warning</title></head><body>
<p class="uc-warning-caption">Google Drive can't scan this file for viruses.</p>
<form id="download-form" action="{action}" method="get">
<input type="submit" id="uc-download-link" value="Download anyway"/>
<input type="hidden" name="id" value="{id}"><input type="hidden" name="export" value="download">
<input type="hidden" name="confirm" value="t"><input type="hidden" name="uuid" value="b&amp;1-2">
</form></body></html>"""
OLD_PAGE = """<html><head><title>Google Drive - Virus scan warning</title></head><body>
<a id="uc-download-link" href="/uc?export=download&amp;confirm=AbC9&amp;id={id}">Download anyway</a>
</body></html>"""
REFUSAL = """<!DOCTYPE html><html><head><title>Google Drive - Quota exceeded</title></head><body>
<p class="uc-error-caption">Sorry, you can't view or download this file at this time.</p>
<p class="uc-error-subcaption">Too many users have viewed or downloaded this file recently.</p>
</body></html>"""


def page(text: str, **headers: object) -> Behaviour:
    return answer(text.encode(), Content_Type="text/html; charset=utf-8", **headers)


@pytest.fixture
def drive(site, hasty) -> Network:
    """Google Drive on the server: the file comes only with the fields and the cookie of the page."""

    def confirmed(handler: Handler, site: Site) -> None:
        given = parse_qs(urlsplit(handler.path).query)
        wanted = {"id": [ID], "export": ["download"], "confirm": ["t"], "uuid": ["b&1-2"]}
        if given != wanted or "warned=yes" not in (handler.headers["Cookie"] or ""):
            page(REFUSAL)(handler, site)
            return
        serve(handler, site)

    warning = PAGE.format(action=site.url("/download"), id=ID)
    site.routes = {"/uc": page(warning, Set_Cookie="warned=yes; Path=/"), "/download": confirmed}
    services = google_drive.Services(
        hosts=frozenset({"127.0.0.1"}), download=site.url("/uc?export=download&id={id}")
    )
    return replace(hasty, google_drive=services)


def test_the_real_services_are_the_known_ones():
    services = google_drive.Services()
    assert services.hosts == {"drive.google.com", "docs.google.com", "drive.usercontent.google.com"}
    assert services.download.format(id=ID) == f"https://drive.google.com/uc?export=download&id={ID}"
    assert dropbox.Services().hosts == {"www.dropbox.com", "dropbox.com"}


@pytest.mark.parametrize(
    ("link", "asked"),
    [
        (f"https://drive.google.com/file/d/{ID}/view?usp=sharing", ""),
        (f"https://drive.google.com/file/u/0/d/{ID}/edit", ""),
        (f"https://drive.google.com/open?id={ID}", ""),
        (f"https://drive.google.com/uc?export=download&id={ID}", ""),
        (f"https://docs.google.com/uc?id={ID}&export=download&confirm=t", ""),
        (f"https://drive.usercontent.google.com/download?id={ID}&export=download", ""),
        (f"https://drive.google.com/file/d/{ID}/view?resourcekey=0-a_b", "&resourcekey=0-a_b"),
    ],
)
def test_every_form_of_a_link_asks_for_the_same_file(hasty, link, asked):
    (source,) = Network(retry_policy=hasty.retry_policy).sources(model(link))
    assert isinstance(source, google_drive.SharedFile)
    assert source.url == f"https://drive.google.com/uc?export=download&id={ID}{asked}"
    assert source.name == link


@pytest.mark.parametrize(
    "link",
    [
        "https://drive.google.com/drive/folders/1a2b",
        "https://drive.google.com/uc?id=../x",
        f"https://drive.google.com.example.org/uc?id={ID}",
    ],
)
def test_other_links_are_plain_urls(hasty, link):
    (source,) = hasty.sources(model(link))
    assert not isinstance(source, google_drive.SharedFile)


def test_a_small_file_comes_at_once(site, cache, drive):
    site.routes = {"/uc": status(303, Location="/content"), "/content": serve}
    fetched = fetch_file(model(site.url(f"/open?id={ID}"), **PINNED), cache, drive)
    assert fetched.path.read_bytes() == CONTENT
    assert left_behind(cache) == stored()


@pytest.mark.parametrize("on_record", [{}, PINNED], ids=["unpinned", "pinned"])
def test_a_large_file_comes_after_the_page_is_confirmed(site, cache, drive, on_record):
    link = site.url(f"/file/d/{ID}/view")
    fetched = fetch_file(model(link, **on_record), cache, drive)
    assert fetched.path.read_bytes() == CONTENT
    assert fetched.source == link
    assert [path.split("?")[0] for path, _ in site.requests] == ["/uc", "/download"]
    assert left_behind(cache) == stored()


def test_the_page_of_earlier_years_is_confirmed_too(site, cache, drive):
    site.routes = {}
    site.script = [page(OLD_PAGE.format(id=ID)), serve]
    assert fetch_file(model(site.url(f"/uc?id={ID}"), **PINNED), cache, drive).path.read_bytes() == CONTENT
    assert site.requests[1][0] == f"/uc?export=download&confirm=AbC9&id={ID}"


def test_a_break_asks_for_a_new_page_and_goes_on(site, cache, drive):
    confirm = site.routes["/download"]
    site.routes["/download"] = drop_after(500_000)

    def again(handler: Handler, site: Site) -> None:
        site.routes["/download"] = confirm
        drop_after(500_000)(handler, site)

    site.routes["/download"] = again
    assert fetch_file(model(site.url(f"/uc?id={ID}"), **PINNED), cache, drive).path.read_bytes() == CONTENT
    asked = [(path.split("?")[0], headers.get("Range")) for path, headers in site.requests]
    assert asked[:2] == [("/uc", None), ("/download", None)]
    assert [path for path, _ in asked[2:]] == ["/uc", "/download"]
    assert all(start is not None for _, start in asked[2:])


@pytest.mark.parametrize("where", ["/uc", "/download"])
def test_what_a_page_says_instead_is_told(site, cache, drive, where):
    site.routes[where] = page(REFUSAL)
    with pytest.raises(
        FetchError, match=r"Google Drive does not deliver it: 'Sorry, you can't view.*Too many"
    ):
        fetch_file(model(site.url(f"/uc?id={ID}")), cache, drive)
    assert left_behind(cache) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<html><title>Sign in</title><form id='x' action='/a'><input type=hidden name=b>", "'Sign in'"),
        ("<html>", "it sent a web page without a title"),
        (PAGE.format(action="http://example.org/x", id=ID), "leads to http://example.org/x?id="),
        (PAGE.format(action="file:///etc/passwd", id=ID), "which is not Google Drive"),
        (PAGE.format(action="http://[", id=ID), "leads to a malformed address"),
        ("<html>" + "x" * MAX_PAGE_BYTES, "sent a page of more than 1,048,576 bytes"),
        ("<html><title>" + "long " * 1000, "long long...'"),
    ],
    ids=["sign in", "empty", "elsewhere", "local file", "malformed", "huge", "long title"],
)
def test_a_page_that_leads_nowhere_is_refused(site, cache, drive, text, message):
    site.routes["/uc"] = page(text)
    with pytest.raises(FetchError) as caught:
        fetch_file(model(site.url(f"/uc?id={ID}")), cache, drive)
    assert message in str(caught.value)
    assert [path.split("?")[0] for path, _ in site.requests] == ["/uc"]


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ("https://www.dropbox.com/s/8apy/net.caffemodel?dl=0", "?dl=1"),
        ("https://www.dropbox.com/s/8apy/net.caffemodel", "?dl=1"),
        ("https://www.dropbox.com/sh/dyw/AAB/model-best.net?dl=1", "?dl=1"),
        ("https://www.dropbox.com/scl/fi/ab/net.t7?rlkey=k-9&st=x&dl=0#top", "?rlkey=k-9&st=x&dl=1"),
        ("https://www.dropbox.com/s/8apy/net.t7?raw=1", "?dl=1"),
    ],
)
def test_dropbox_is_asked_for_the_file_itself(link, expected):
    assert dropbox.direct(link) == link.split("?")[0] + expected


def test_dropbox_sends_a_page_unless_it_is_asked_for_the_file(site, cache, hasty):
    def share(handler: Handler, site: Site) -> None:
        wanted = parse_qs(urlsplit(handler.path).query) == {"rlkey": ["k"], "dl": ["1"]}
        (status(302, Location="/content") if wanted else page("<html>"))(handler, site)

    site.routes = {"/s/net": share, "/content": serve}
    network = replace(hasty, dropbox=dropbox.Services(hosts=frozenset({"127.0.0.1"})))
    link = site.url("/s/net?rlkey=k&dl=0")
    with pytest.raises(FetchError, match="delivered an HTML page"):
        fetch_file(model(link), cache, hasty)
    fetched = fetch_file(model(link, **PINNED), cache, network)
    assert (fetched.path.read_bytes(), fetched.source) == (CONTENT, link)


def test_a_web_page_in_place_of_a_model_is_told_with_its_title(site, cache, hasty):
    site.script = [page("<!DOCTYPE html><head><TITLE lang=en>Page not\nfound</TITLE>" + " " * 1000)]
    with pytest.raises(FetchError, match=r"delivered an HTML page .*; its title: 'Page not found'"):
        fetch_file(model(site.url(), **PINNED), cache, hasty)


def test_onedrive_links_with_a_query_ask_for_the_content_as_they_stand(hasty):
    direct = "https://onedrive.live.com/download?cid=1&resid=1%2115&authkey=AA"
    names = [source.name for source in hasty.sources(model(direct))]
    assert names[-1] == direct
    embedded = "https://onedrive.live.com/embed?cid=1&resid=1%2115"
    assert [source.name for source in hasty.sources(model(embedded))][-1] == f"{embedded}&download=1"
