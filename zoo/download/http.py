"""Files from http:// and https:// URLs, resumed at any byte."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from zoo.download.redirects import response_after_redirects
from zoo.download.retry import RetryPolicy
from zoo.download.stream import SourceError, Stream, TransientError, Validators, shown
from zoo.errors import excerpt
from zoo.files import parse_json

if TYPE_CHECKING:
    import requests

# Small enough to notice a slow server soon, large enough to cost nothing.
CHUNK_BYTES = 1 << 16
# How a body may be compressed, though nothing was asked for. Others can make gigabytes of a few bytes.
ENCODINGS = frozenset({"gzip", "x-gzip", "deflate"})
RETRYABLE_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
MAX_JSON_BYTES = 1 << 20
PARTIAL_CONTENT, RANGE_NOT_SATISFIABLE = 206, 416
# No file has a size of more digits.
CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)")
SIZE = re.compile("[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class HttpSource:
    """The body of a GET of `url`.

    label: its name in messages, by default the URL.
    headers: what the request says beside the range. session: keeps cookies from an earlier request.
    """

    url: str
    retry_policy: RetryPolicy
    label: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    session: requests.Session | None = None

    @property
    def name(self) -> str:
        """See `DownloadSource`."""
        return self.label or self.url

    @contextmanager
    def open(self, start: int, validators: Validators) -> Iterator[Stream]:
        """See `DownloadSource`. A server without ranges, or with changed content, sends all of it."""
        headers = {**self.headers, **_range_headers(start, validators)}
        with request(self.url, self.retry_policy, headers, session=self.session) as response:
            if response.status_code == RANGE_NOT_SATISFIABLE and start:
                # The server's content is shorter than the partial download, so it has changed.
                with self.open(0, Validators()) as stream:
                    yield stream
                return
            raise_for_status(response, self.retry_policy)
            begins = _start_of_range(response, start) if response.status_code == PARTIAL_CONTENT else 0
            validators = _validators(response, begins)
            framed = validators.size is not None or bool(getattr(response.raw, "chunked", False))
            media_type = response.headers.get("Content-Type", "").split(";")[0].strip().lower()
            yield Stream(
                begins,
                validators,
                _chunks(response, self.retry_policy),
                framed,
                media_type=media_type or None,
                url=str(response.url),
            )


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
            raise _with_message_of_server(error, response, retry_policy) from None
        text = _short_text(response, retry_policy)
    try:
        answer = parse_json(text)
    except ValueError as error:
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

    Redirects are followed as `zoo.download.redirects` says. session: keeps cookies for the next request.
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
            response_after_redirects(used, url, retry_policy, sent, body) as response,
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
    text = f"HTTP {response.status_code} {excerpt(response.reason)}".rstrip()
    if response.status_code not in RETRYABLE_STATUSES:
        raise SourceError(text)
    after = _retry_after(response)
    if after is not None and after > retry_policy.max_delay:
        raise SourceError(f"{text}; it asks to come back in {after:.0f} s: try again then")
    raise TransientError(text, after)


def _short_text(response: requests.Response, retry_policy: RetryPolicy) -> bytes:
    """The body of an answer in JSON. SourceError if it is longer than any."""
    text = b""
    for chunk in _chunks(response, retry_policy):
        text += chunk
        if len(text) > MAX_JSON_BYTES:
            raise SourceError(f"answered more than {MAX_JSON_BYTES:,} bytes")
    return text


def _with_message_of_server(
    error: SourceError, response: requests.Response, retry_policy: RetryPolicy
) -> SourceError:
    """The error with the `message` that an API put into its JSON, as GitHub's do."""
    try:
        answer = parse_json(_short_text(response, retry_policy))
    except (ValueError, SourceError):
        return error
    message = answer.get("message") if isinstance(answer, dict) else None
    if not isinstance(message, str) or not message.strip():
        return error
    text = f"{error}: {shown(message)}"
    return TransientError(text, error.after) if isinstance(error, TransientError) else SourceError(text)


def _range_headers(start: int, validators: Validators) -> dict[str, str]:
    if not start:
        return {}
    headers = {"Range": f"bytes={start}-"}
    if validators.validator is not None:
        headers["If-Range"] = validators.validator
    return headers


def _start_of_range(response: requests.Response, asked: int) -> int:
    came = response.headers.get("Content-Range", "")
    match = CONTENT_RANGE.fullmatch(came)
    if match is None or int(match[1]) != asked:
        raise SourceError(f"asked for bytes {asked}-, the server sent the range '{excerpt(came)}'")
    return asked


def _validators(response: requests.Response, begins: int) -> Validators:
    etag = response.headers.get("ETag")
    return Validators(
        # A weak tag stands for the same meaning, not for the same bytes.
        etag=None if etag is None or etag.startswith("W/") else etag,
        last_modified=response.headers.get("Last-Modified"),
        size=_total_size(response, begins),
    )


def _total_size(response: requests.Response, begins: int) -> int | None:
    part = CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if part is not None and part[3] != "*":
        return int(part[3])
    length = response.headers.get("Content-Length", "")
    return begins + int(length) if SIZE.fullmatch(length) and not _is_compressed(response) else None


def _is_compressed(response: requests.Response) -> bool:
    return response.headers.get("Content-Encoding", "identity") != "identity"


def _chunks(response: requests.Response, retry_policy: RetryPolicy) -> Iterator[bytes]:
    """The body as it arrives. TransientError if it arrives at less than the lowest speed."""
    if _is_compressed(response):
        encoding = response.headers["Content-Encoding"]
        if encoding.lower() not in ENCODINGS:
            raise SourceError(
                f"sends its content compressed by '{excerpt(encoding)}', which nobody asked for"
            )
        yield from response.iter_content(CHUNK_BYTES)
        return
    since, came = time.monotonic(), 0
    while piece := response.raw.read1(CHUNK_BYTES):
        yield piece
        came += len(piece)
        if (lasted := time.monotonic() - since) >= retry_policy.low_speed_seconds:
            if came < retry_policy.low_speed_bytes:
                raise TransientError(f"only {came} bytes in {lasted:.0f} s")
            since, came = time.monotonic(), 0


def _retry_after(response: requests.Response) -> float | None:
    """Retry-After in seconds, from either form of the header; None if there is none."""
    text = response.headers.get("Retry-After", "").strip()
    if SIZE.fullmatch(text):
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return max(0.0, (moment - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError, LookupError, OverflowError):
        return None


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
    return excerpt(inner) or type(inner).__name__


def _causes(error: BaseException) -> Iterator[BaseException]:
    yield error
    while (wrapped := error.__cause__ or error.__context__) is not None:
        yield wrapped
        error = wrapped
