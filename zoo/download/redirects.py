"""Follows redirects by rule.

`requests` would also go from https to http, and take any header but Authorization along to another host.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from zoo.download.retry import RetryPolicy
from zoo.download.stream import SourceError, shown

if TYPE_CHECKING:
    import requests

MAX_REDIRECTS = 10
# What every host may be told; any other header, such as a token, is for the host it was meant for.
_HEADERS_FOR_ALL = frozenset({"accept", "accept-encoding", "if-range", "range", "user-agent"})
_SEE_OTHER = 303


@contextmanager
def response_after_redirects(
    session: requests.Session,
    url: str,
    retry_policy: RetryPolicy,
    headers: Mapping[str, str],
    body: Mapping[str, Any] | None,
) -> Iterator[requests.Response]:
    """The response to a GET of `url`, or to a POST of `body` as JSON, that is no redirect.

    At most MAX_REDIRECTS redirects are followed, none from https to http; of `headers`, another host gets
    only those that say nothing of the user. SourceError for a redirect to where no request should go.
    """
    for _ in range(MAX_REDIRECTS + 1):
        with _response(session, url, retry_policy, headers, body) as response:
            target = session.get_redirect_target(response)
            if target is None:
                yield response
                return
            target = _checked_target(url, target)
            if session.should_strip_auth(url, target):  # type: ignore[no-untyped-call]
                headers = {name: value for name, value in headers.items() if name.lower() in _HEADERS_FOR_ALL}
            # RFC 9110, 15.4: a redirect may keep the method, except this one.
            body = None if response.status_code == _SEE_OTHER else body
            url = target
    raise SourceError(f"redirects more than {MAX_REDIRECTS} times, last to {shown(url)}")


def _response(
    session: requests.Session,
    url: str,
    retry_policy: RetryPolicy,
    headers: Mapping[str, str],
    body: Mapping[str, Any] | None,
) -> requests.Response:
    """One response. `Session.request` would read the body of a redirect, of any length, into memory."""
    import requests

    request = requests.Request("GET" if body is None else "POST", url, headers=dict(headers), json=body)
    try:
        asked = session.prepare_request(request)
    except requests.RequestException:
        raise
    except ValueError as error:  # a malformed host: not every check of requests' own has an error of its own
        raise SourceError(f"{shown(url)} is no address that can be asked: {error}") from error
    settings: dict[str, Any] = {**session.merge_environment_settings(url, {}, True, True, None)}
    timeout = (retry_policy.connect_timeout, retry_policy.read_timeout)
    response = session.get_adapter(url).send(asked, timeout=timeout, **settings)
    requests.cookies.extract_cookies_to_jar(  # type: ignore[no-untyped-call]
        session.cookies, asked, response.raw
    )
    return response


def _checked_target(url: str, target: str) -> str:
    """Where a redirect leads, as a whole URL. SourceError if no request should go there."""
    whole, host = target, None
    try:
        whole = urljoin(url, target)
        before, after = urlsplit(url), urlsplit(whole)
        host, _ = after.hostname, after.port
    except ValueError:  # a malformed host or port
        host = None
    if host is None or after.scheme not in ("http", "https"):
        raise SourceError(f"redirects to {shown(whole)}, which is no http:// or https:// address")
    if before.scheme == "https" and after.scheme == "http":
        raise SourceError(f"redirects from https to {shown(whole)}, where anybody on the way can change it")
    return whole
