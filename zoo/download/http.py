"""Files from http:// and https:// URLs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from zoo.digests import CHUNK_BYTES
from zoo.download.stream import SourceError, Stream

if TYPE_CHECKING:
    import requests

CONNECT_SECONDS = 10.0
READ_SECONDS = 60.0


@contextmanager
def open_http(
    url: str, connect_seconds: float = CONNECT_SECONDS, read_seconds: float = READ_SECONDS
) -> Iterator[Stream]:
    """The body of `url`. SourceError tells the status or what went wrong with the connection.

    The timeouts are for the connection and for each silence, not for the whole. Proxies and
    certificates are as `requests` has them (HTTPS_PROXY, REQUESTS_CA_BUNDLE, ...).
    """
    import requests

    # Without this a server may compress on the way, and the announced size would be that of the packed bytes.
    headers = {"Accept-Encoding": "identity"}
    try:
        with requests.get(
            url, stream=True, timeout=(connect_seconds, read_seconds), headers=headers
        ) as response:
            if response.status_code != requests.codes.ok:
                raise SourceError(f"HTTP {response.status_code} {response.reason}".rstrip())
            yield Stream(_announced_bytes(response), response.iter_content(CHUNK_BYTES))
    except requests.ConnectTimeout as error:
        raise SourceError(f"no connection within {connect_seconds:g} s") from error
    except requests.Timeout as error:
        raise SourceError(f"silent for {read_seconds:g} s") from error
    except requests.RequestException as error:
        raise SourceError(f"connection failed: {_root_cause(error)}") from error


def _announced_bytes(response: requests.Response) -> int | None:
    length = response.headers.get("Content-Length", "")
    packed = response.headers.get("Content-Encoding", "identity") != "identity"
    return int(length) if length.isdecimal() and not packed else None


def _root_cause(error: BaseException) -> str:
    """The innermost of the wrapped errors: what actually happened, without the layers that passed it on."""
    inner = error
    while (wrapped := inner.__cause__ or inner.__context__) is not None:
        inner = wrapped
    return str(inner) or type(inner).__name__
