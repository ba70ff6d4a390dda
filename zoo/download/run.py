"""A finished run, result.json and the evidence.csv beside it, from a server."""

from __future__ import annotations

import time
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit, urlunsplit

from zoo.download.http import raise_for_status, request
from zoo.download.retry import RetryPolicy
from zoo.download.stream import SourceError, TransientError, shown
from zoo.errors import FetchError
from zoo.evidence.run import RESULT_NAME, ROWS_NAME
from zoo.files import disk_errors_explained

# A row takes some 200 bytes; a result some kilobytes.
MAX_BYTES = {RESULT_NAME: 10_000_000, ROWS_NAME: 2_000_000_000}
CHUNK_BYTES = 1 << 16


def fetch_run(url: str, folder: Path, retry_policy: RetryPolicy | None = None) -> Path:
    """Download the run whose result.json is at `url` into `folder`, which is empty; returns the result.json.

    The evidence.csv is at the same address but for its name.

    Raises:
        FetchError: one of the two cannot be downloaded, or is larger than any run.
        UsageError: the folder cannot be written to.
    """
    policy = retry_policy or RetryPolicy()
    parts = urlsplit(url)
    for name in (RESULT_NAME, ROWS_NAME):
        # Only the last part of the path: what follows it, such as a signature, stays.
        path = parts.path if name == RESULT_NAME else str(PurePosixPath(parts.path).with_name(name))
        _download(urlunsplit(parts._replace(path=path)), folder / name, MAX_BYTES[name], policy)
    return folder / RESULT_NAME


def _download(url: str, target: Path, max_bytes: int, policy: RetryPolicy) -> None:
    for attempt in range(1, policy.max_attempts + 1):
        try:
            _receive(url, target, max_bytes, policy)
        except TransientError as error:
            if attempt == policy.max_attempts:
                raise FetchError(f"{shown(url)}: {error}") from error
            time.sleep(policy.delay(attempt, None))
        except SourceError as error:
            raise FetchError(f"{shown(url)}: {error}") from error
        else:
            return


def _receive(url: str, target: Path, max_bytes: int, policy: RetryPolicy) -> None:
    with (
        request(url, policy, {}) as response,
        disk_errors_explained(target),
        target.open("wb") as file,
    ):
        raise_for_status(response, policy)
        received = 0
        for piece in response.iter_content(CHUNK_BYTES):
            received += len(piece)
            if received > max_bytes:
                raise SourceError(f"larger than {max_bytes:,} bytes, which no run is")
            file.write(piece)
