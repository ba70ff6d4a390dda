"""Dropbox's shared links: `dl=1` asks for the file, anything else for a page about it.

https://help.dropbox.com/share/force-download
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from zoo.download.http import HttpSource
from zoo.download.retry import RetryPolicy
from zoo.download.stream import DownloadSource


@dataclass(frozen=True, slots=True)
class Services:
    """The hosts whose links lead to a page. dl.dropboxusercontent.com sends the file as it is."""

    hosts: frozenset[str] = frozenset({"www.dropbox.com", "dropbox.com"})


def sources(link: str, retry_policy: RetryPolicy, services: Services) -> list[DownloadSource] | None:
    """How to download the file behind `link`; None if it is no shared link of Dropbox."""
    if urlsplit(link).hostname not in services.hosts:
        return None
    return [HttpSource(direct(link), retry_policy, link)]


def direct(link: str) -> str:
    """The link that asks for the file itself; all of its query but `dl` and `raw` stays, such as rlkey."""
    parts = urlsplit(link)
    query = parse_qsl(parts.query, keep_blank_values=True)
    kept = [(name, value) for name, value in query if name not in ("dl", "raw")]
    return urlunsplit(parts._replace(query=urlencode([*kept, ("dl", "1")]), fragment=""))
