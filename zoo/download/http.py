"""Files from http:// and https:// URLs, resumed at any byte."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from zoo.download.requesting import raise_for_status, request
from zoo.download.retry import RetryPolicy
from zoo.download.stream import SourceError, Stream, TransientError, Validators

if TYPE_CHECKING:
    import requests

# Small enough to notice a slow server soon, large enough to cost nothing.
CHUNK_BYTES = 1 << 16
PARTIAL_CONTENT, RANGE_NOT_SATISFIABLE = 206, 416
CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


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
        raise SourceError(f"asked for bytes {asked}-, the server sent the range '{came}'")
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
    return begins + int(length) if length.isdecimal() and not _is_compressed(response) else None


def _is_compressed(response: requests.Response) -> bool:
    return response.headers.get("Content-Encoding", "identity") != "identity"


def _chunks(response: requests.Response, retry_policy: RetryPolicy) -> Iterator[bytes]:
    """The body as it arrives. TransientError if it arrives at less than the lowest speed."""
    if _is_compressed(response):
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
