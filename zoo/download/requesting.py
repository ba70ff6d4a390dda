"""One HTTP request: redirects by rule, and every failure as a sentence.

Redirects are followed here and not by `requests`, which also goes from https to http and takes any header
but Authorization along to another host.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from zoo.download.retry import RetryPolicy
from zoo.download.stream import SourceError, TransientError, shown

if TYPE_CHECKING:
    import requests

RETRYABLE_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
MAX_JSON_BYTES = 1 << 20
MAX_REDIRECTS = 10
# What every host may be told; any other header, such as a token, is for the host it was meant for.
_HEADERS_FOR_ALL = frozenset({"accept", "accept-encoding", "if-range", "range", "user-agent"})
_SEE_OTHER = 303


def request_json(
    url: str, retry_policy: RetryPolicy, headers: Mapping[str, str], body: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The JSON object that a GET of `url` returns, or a POST of `body` as JSON.

    Raises SourceError if there is no such answer (TransientError where a retry may help).
    """
    with request(url, retry_policy, headers, body) as response:
        try:
            raise_for_status(response, retry_policy)
        except SourceError as error:
            raise _with_message_of_server(error, response) from None
        text = response.raw.read(MAX_JSON_BYTES, decode_content=True)
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SourceError("answered something else than JSON") from error
    if not isinstance(answer, dict):
        raise SourceError("answered JSON that is no object")
    return answer


@contextmanager
def request(
    url: str,
    retry_policy: RetryPolicy,
    headers: Mapping[str, str],
    body: Mapping[str, Any] | None = None,
    session: requests.Session | None = None,
) -> Iterator[requests.Response]:
    """The response to a GET, or to a POST of `body` as JSON, of any status; its body is not read yet.

    At most MAX_REDIRECTS redirects are followed, none from https to http; of `headers`, another host gets
    only those that say nothing of the user. session: keeps cookies from one request to the next.
    `requests` handles proxies and certificates (HTTPS_PROXY, REQUESTS_CA_BUNDLE, ...).

    Raises:
        SourceError: the server cannot be reached, or redirects to where no request should go.
        TransientError: the connection broke or timed out, also while the body is read inside the `with`.
    """
    import requests
    import urllib3

    from converters import __version__

    # Else a server may compress the body, and announce the size of the compressed bytes.
    sent = {"Accept-Encoding": "identity", "User-Agent": f"dsd-zoo/{__version__}", **headers}
    try:
        with (
            requests.Session() if session is None else nullcontext(session) as used,
            _after_redirects(used, url, retry_policy, sent, body) as response,
        ):
            yield response
    except requests.ConnectTimeout as error:
        raise SourceError(f"no connection within {retry_policy.connect_timeout:g} s") from error
    except (requests.Timeout, urllib3.exceptions.TimeoutError) as error:
        raise TransientError(f"silent for {retry_policy.read_timeout:g} s") from error
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise _connection_error(error) from error


def raise_for_status(response: requests.Response, retry_policy: RetryPolicy) -> None:
    """SourceError for any status but success; TransientError where a retry may help."""
    if 200 <= response.status_code < 300:
        return
    text = f"HTTP {response.status_code} {response.reason}".rstrip()
    if response.status_code not in RETRYABLE_STATUSES:
        raise SourceError(text)
    after = _retry_after(response)
    if after is not None and after > retry_policy.max_delay:
        raise SourceError(f"{text}; it asks to come back in {after:.0f} s: try again then")
    raise TransientError(text, after)


@contextmanager
def _after_redirects(
    session: requests.Session,
    url: str,
    retry_policy: RetryPolicy,
    headers: Mapping[str, str],
    body: Mapping[str, Any] | None,
) -> Iterator[requests.Response]:
    """The first response that is no redirect."""
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

    asked = session.prepare_request(
        requests.Request("GET" if body is None else "POST", url, headers=dict(headers), json=body)
    )
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


def _with_message_of_server(error: SourceError, response: requests.Response) -> SourceError:
    """The error with the `message` that an API put into its JSON, as GitHub's do."""
    try:
        answer = json.loads(response.raw.read(MAX_JSON_BYTES, decode_content=True))
    except (ValueError, RecursionError):
        return error
    message = answer.get("message") if isinstance(answer, dict) else None
    if not isinstance(message, str) or not message.strip():
        return error
    text = f"{error}: {shown(message)}"
    return TransientError(text, error.after) if isinstance(error, TransientError) else SourceError(text)


def _retry_after(response: requests.Response) -> float | None:
    """Retry-After in seconds, from either form of the header; None if there is none."""
    text = response.headers.get("Retry-After", "").strip()
    if text.isdecimal():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


def _connection_error(error: Exception) -> SourceError:
    import requests
    import urllib3

    cause = _root_cause(error)
    if isinstance(error, requests.exceptions.ProxyError):
        return SourceError(f"the proxy does not let it through: {cause}; see HTTPS_PROXY and NO_PROXY")
    if isinstance(error, requests.exceptions.SSLError):
        return SourceError(
            f"no trusted connection: {cause}; a CA of your own goes into REQUESTS_CA_BUNDLE=FILE"
        )
    never_established = isinstance(error, requests.ConnectionError) and any(
        isinstance(inner, urllib3.exceptions.NewConnectionError) for inner in _causes(error)
    )
    if never_established or not isinstance(error, requests.ConnectionError | urllib3.exceptions.HTTPError):
        return SourceError(f"connection failed: {cause}")
    return TransientError(f"connection broke: {cause}")


def _root_cause(error: BaseException) -> str:
    """The text of the innermost wrapped error, which says what happened."""
    inner = [*_causes(error)][-1]
    return str(inner) or type(inner).__name__


def _causes(error: BaseException) -> Iterator[BaseException]:
    yield error
    while (wrapped := error.__cause__ or error.__context__) is not None:
        yield wrapped
        error = wrapped
