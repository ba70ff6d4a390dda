"""Google Drive links (drive.google.com, docs.google.com), without an account.

A small file comes at once. For one that is too large for the virus scan, Drive sends a page that asks
whether to download it all the same: a form whose hidden fields (id, export, confirm, uuid) go with the next
request, or, as before 2022, a link with `confirm=`. The cookies of the page go with it too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from html.parser import HTMLParser
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit, urlunsplit

from zoo.download.http import HttpSource
from zoo.download.retry import RetryPolicy
from zoo.download.stream import DownloadSource, SourceError, Stream, Validators, shown

MAX_PAGE_BYTES = 1 << 20
_ID = re.compile(r"[A-Za-z0-9_-]+")
_PATH = re.compile(r"/(?:file|document|presentation|spreadsheets)/(?:u/\d+/)?d/([A-Za-z0-9_-]+)")


@dataclass(frozen=True, slots=True)
class Services:
    """The hosts of Google Drive, and where a file is asked for by its `{id}`."""

    hosts: frozenset[str] = frozenset({"drive.google.com", "docs.google.com", "drive.usercontent.google.com"})
    download: str = "https://drive.google.com/uc?export=download&id={id}"


def sources(link: str, retry_policy: RetryPolicy, services: Services) -> list[DownloadSource] | None:
    """How to download the file behind `link`; None if it is no link to a file of Google Drive."""
    parts = urlsplit(link)
    if parts.hostname not in services.hosts:
        return None
    query = parse_qs(parts.query)
    in_path = _PATH.match(parts.path)
    file_id = in_path[1] if in_path else query.get("id", [""])[0]
    if not _ID.fullmatch(file_id):
        return None
    url = services.download.format(id=file_id)
    # Links to files shared before 2021 need this key beside the id.
    if key := query.get("resourcekey"):
        url += "&" + urlencode({"resourcekey": key[0]})
    return [SharedFile(link, url, services.hosts, retry_policy)]


@dataclass(frozen=True, slots=True)
class SharedFile:
    """A file of Google Drive.

    url: returns it, or a page that asks to confirm. hosts: those that the page may lead to.
    """

    name: str
    url: str
    hosts: frozenset[str]
    retry_policy: RetryPolicy

    @contextmanager
    def open(self, start: int, validators: Validators) -> Iterator[Stream]:
        """See `DownloadSource`. The page is asked for every time, since what it leads to soon expires."""
        import requests

        with requests.Session() as session:
            with HttpSource(self.url, self.retry_policy, session=session).open(start, validators) as stream:
                if stream.media_type != "text/html":
                    yield stream
                    return
                confirmed = self._confirmed(stream)
            source = HttpSource(confirmed, self.retry_policy, session=session)
            with source.open(start, validators) as stream:
                if stream.media_type == "text/html":
                    raise SourceError(f"Google Drive does not deliver it: {_read_page(stream).reason()}")
                yield stream

    def _confirmed(self, stream: Stream) -> str:
        """The URL behind the button of the page. SourceError if it has none: then the page says why."""
        page = _read_page(stream)
        try:
            url = page.confirmed(stream.url or self.url)
            parts = urlsplit(url or "")
        except ValueError as error:
            raise SourceError("the page of Google Drive leads to a malformed address") from error
        if url is None:
            raise SourceError(f"Google Drive does not deliver it: {page.reason()}")
        # The same rule as for redirects: a page must not lead anywhere else.
        if parts.hostname not in self.hosts or parts.scheme not in ("https", urlsplit(self.url).scheme):
            raise SourceError(f"the page of Google Drive leads to {shown(url)}, which is not Google Drive")
        return url


def _read_page(stream: Stream) -> _Page:
    text = bytearray()
    for chunk in stream.chunks:
        text += chunk
        if len(text) > MAX_PAGE_BYTES:
            raise SourceError(f"sent a page of more than {MAX_PAGE_BYTES:,} bytes instead of the file")
    page = _Page()
    page.feed(text.decode("utf-8", "replace"))
    page.close()
    return page


class _Page(HTMLParser):
    """A page that came instead of a file: its title, what it says in its error, how it can be confirmed."""

    def __init__(self) -> None:
        super().__init__()
        self._title = ""
        self._error = ""
        self._inside: str | None = None
        self._form: str | None = None
        self._in_form = False
        self._fields: dict[str, str] = {}
        self._link: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        classes = given.get("class", "").split()
        if tag == "title" or {"uc-error-caption", "uc-error-subcaption"} & set(classes):
            self._inside = tag
        if tag == "form":
            self._in_form = given.get("id") in ("download-form", "downloadForm")
            self._form = given.get("action") if self._in_form else self._form
        if tag == "input" and self._in_form and given.get("type") == "hidden" and given.get("name"):
            self._fields[given["name"]] = given.get("value", "")
        if tag == "a" and "confirm" in parse_qs(_query_of(given.get("href", ""))):
            self._link = given["href"]

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._in_form = False
        if tag == self._inside:
            self._inside = None

    def handle_data(self, data: str) -> None:
        if self._inside == "title":
            self._title += data
        elif self._inside is not None:
            self._error += " " + data

    def confirmed(self, base: str) -> str | None:
        """The URL that the page asks to confirm, if it does. `base`: the URL of the page."""
        if self._form is not None and self._fields:
            return _with_query(urljoin(base, self._form), self._fields)
        return None if self._link is None else urljoin(base, self._link)

    def reason(self) -> str:
        """What the page says, in short."""
        said = shown(self._error) or shown(self._title)
        return f"'{said}'" if said else "it sent a web page without a title"


def _query_of(url: str) -> str:
    """The query of a URL in a page; empty if it is malformed."""
    try:
        return urlsplit(url).query
    except ValueError:
        return ""


def _with_query(url: str, fields: Mapping[str, str]) -> str:
    """The URL with these fields in its query, as a browser sends a form: they replace the query."""
    return urlunsplit(urlsplit(url)._replace(query=urlencode(fields), fragment=""))
