"""OneDrive share links (1drv.ms, onedrive.live.com), without an account.

The web client (undocumented, as observed 2024 to 2026) asks a token service for an anonymous token. With it
the client requests the record of the shared item, which has the size, hashes and a short-lived download URL.
Older ways, answered with 401 for most personal links since 2024, are tried last.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from zoo.download.http import HttpSource, request_json
from zoo.download.retry import RetryPolicy
from zoo.download.stream import DownloadSource, SourceError, Stream, TransientError, Validators

HOSTS = frozenset({"1drv.ms", "onedrive.live.com"})
APP_ID, APP_UUID = "1141147648", "5cbed6ac-a083-4e14-b191-b4ba07653de2"
HASHES = {"sha1Hash": "sha1", "sha256Hash": "sha256"}
DOWNLOAD_URLS = ("@content.downloadUrl", "@microsoft.graph.downloadUrl")


@dataclass(frozen=True, slots=True)
class Services:
    """URLs of OneDrive's services. `{share}` is the encoded share link, `{link}` the link itself."""

    token: str = "https://api-badgerp.svc.ms/v1.0/token"
    items: tuple[str, ...] = (
        "https://my.microsoftpersonalcontent.com/_api/v2.0/shares/{share}/driveitem",
        "https://api.onedrive.com/v1.0/shares/{share}/driveItem",
    )
    contents: tuple[str, ...] = (
        "https://api.onedrive.com/v1.0/shares/{share}/root/content",
        "{link}?download=1",
    )


def is_share_link(url: str) -> bool:
    """Whether the URL is a OneDrive share link, which does not return the file itself."""
    return urlsplit(url).hostname in HOSTS


def sources(link: str, retry_policy: RetryPolicy, services: Services) -> list[DownloadSource] | None:
    """All ways to download the file behind `link`, best first; None if it is no share link of OneDrive."""
    if not is_share_link(link):
        return None
    share = "u!" + base64.urlsafe_b64encode(link.encode()).decode().rstrip("=")

    def filled(template: str) -> str:
        url = template.format(share=share, link=link)
        # A link with a query goes on with &; one to /download asks for the content already.
        return _direct(link) if url == f"{link}?download=1" and urlsplit(link).query else url

    items = [
        SharedItem(_label(link, url), url, services.token, retry_policy)
        for url in map(filled, services.items)
    ]
    contents = [HttpSource(url, retry_policy, _label(link, url)) for url in map(filled, services.contents)]
    return [*items, *contents]


def _direct(link: str) -> str:
    return link if urlsplit(link).path == "/download" else f"{link}&download=1"


def _label(link: str, url: str) -> str:
    """The name of a source in messages: the link, and the service that is asked."""
    if url.startswith(link):
        return url
    parts = urlsplit(url)
    return f"{link} through {parts.hostname}/.../{parts.path.rsplit('/', 1)[1]}"


@dataclass(frozen=True, slots=True)
class SharedItem:
    """The file of a share. `url` returns the record of its item, given a token from `token_url`."""

    name: str
    url: str
    token_url: str
    retry_policy: RetryPolicy

    @contextmanager
    def open(self, start: int, validators: Validators) -> Iterator[Stream]:
        """See `DownloadSource`. The record is requested every time, since its download URL soon expires."""
        item = self._item()
        if "folder" in item:
            raise SourceError("the link leads to a folder, not to a file")
        url = next((item[key] for key in DOWNLOAD_URLS if isinstance(item.get(key), str)), None)
        if url is None:
            raise SourceError(f"the record of the item has no {DOWNLOAD_URLS[0]}")
        size = item.get("size")
        if isinstance(size, bool) or not isinstance(size, int) or size < 0:
            size = None
        with HttpSource(url, self.retry_policy).open(start, validators) as stream:
            whole = Validators(stream.validators.etag, stream.validators.last_modified, size)
            if whole.contradicts(stream.validators):
                raise SourceError(f"the item has {size} bytes, its download URL {stream.validators.size}")
            yield Stream(stream.start, whole, stream.chunks, isinstance(size, int), _hashes(item))

    def _item(self) -> dict[str, Any]:
        with _named_in_errors("the token service"):
            answer = request_json(self.token_url, self.retry_policy, {"AppId": APP_ID}, {"appId": APP_UUID})
            if not isinstance(answer.get("token"), str):
                raise SourceError("gave no token")
        with _named_in_errors("the share"):
            headers = {"Authorization": f"Badger {answer['token']}", "Prefer": "autoredeem"}
            return request_json(self.url, self.retry_policy, headers)


@contextmanager
def _named_in_errors(who: str) -> Iterator[None]:
    """Put the name of the service before the text of an error."""
    try:
        yield
    except TransientError as error:
        raise TransientError(f"{who}: {error}", error.after) from error
    except SourceError as error:
        raise SourceError(f"{who}: {error}") from error


def _hashes(item: dict[str, Any]) -> dict[str, str]:
    known = item.get("file")
    told = known.get("hashes") if isinstance(known, dict) else None
    if not isinstance(told, dict):
        return {}
    return {kind: str(told[key]).lower() for key, kind in HASHES.items() if told.get(key)}
