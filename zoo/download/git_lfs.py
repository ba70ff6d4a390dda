"""Files of GitHub repositories that may be kept by Git LFS.

Git then has only a pointer: a short text with the sha256 and the size of the file. The server of Git LFS is
asked for the file itself by its Batch API: https://github.com/git-lfs/git-lfs/blob/main/docs/api/batch.md
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from zoo.download.http import HttpSource, request_json
from zoo.download.retry import RetryPolicy
from zoo.download.stream import DownloadSource, SourceError, Stream, TransientError, Validators, shown

MEDIA_TYPE = "application/vnd.git-lfs+json"
# https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md: a pointer is shorter than this.
MAX_POINTER_BYTES = 1024
_POINTER = re.compile(
    rb"version https://(?:git-lfs|hawser)\.github\.com/spec/v1\n(?:[a-z0-9.-]+ [^\n]*\n)*?"
    rb"oid sha256:([0-9a-f]{64})\n(?:[a-z0-9.-]+ [^\n]*\n)*?size ([0-9]{1,18})\n"
)


@dataclass(frozen=True, slots=True)
class Services:
    """Where files of repositories lie, and the Batch API of a repository's Git LFS server.

    files: regular expressions of URLs whose groups `owner` and `name` are the repository.
    """

    files: tuple[str, ...] = (
        r"https://raw\.githubusercontent\.com/(?P<owner>[^/?#]+)/(?P<name>[^/?#]+)/.+",
        r"https://github\.com/(?P<owner>[^/?#]+)/(?P<name>[^/?#]+)/raw/.+",
    )
    batch: str = "https://github.com/{owner}/{name}.git/info/lfs/objects/batch"


@dataclass(frozen=True, slots=True)
class Pointer:
    """What a pointer tells of the file: its sha256 in hex, and its size in bytes."""

    sha256: str
    size: int


def sources(url: str, retry_policy: RetryPolicy, services: Services) -> list[DownloadSource] | None:
    """How to download the file of a repository; None if `url` is none."""
    for pattern in services.files:
        if match := re.fullmatch(pattern, url):
            return [RepositoryFile(url, services.batch.format(**match.groupdict()), retry_policy)]
    return None


def read_pointer(text: bytes) -> Pointer | None:
    """The pointer in this text, None if it is something else."""
    match = _POINTER.match(text) if len(text) < MAX_POINTER_BYTES else None
    return None if match is None else Pointer(match[1].decode(), int(match[2]))


@dataclass(frozen=True, slots=True)
class RepositoryFile:
    """The file of a repository at `url`; `batch` is the Batch API of the repository's Git LFS server."""

    url: str
    batch: str
    retry_policy: RetryPolicy

    @property
    def name(self) -> str:
        """See `DownloadSource`."""
        return self.url

    @contextmanager
    def open(self, start: int, validators: Validators) -> Iterator[Stream]:
        """See `DownloadSource`. Where a pointer comes, the file that it stands for."""
        with HttpSource(self.url, self.retry_policy).open(start, validators) as stream:
            text, stream = _peek(stream)
            pointer = read_pointer(text)
            if pointer is None:
                yield stream
                return
        with self._object(pointer).open(start, validators) as stream:
            whole = replace(stream.validators, size=pointer.size)
            if whole.contradicts(stream.validators):
                raise SourceError(
                    f"the Git LFS pointer is of {pointer.size} bytes, the server has {stream.validators.size}"
                )
            yield replace(stream, validators=whole, framed=True, hashes={"sha256": pointer.sha256})

    def _object(self, pointer: Pointer) -> HttpSource:
        """The file that a pointer stands for. SourceError if the server does not have it."""
        headers = {"Accept": MEDIA_TYPE, "Content-Type": MEDIA_TYPE}
        asked = {
            "operation": "download",
            "transfers": ["basic"],
            "objects": [{"oid": pointer.sha256, "size": pointer.size}],
        }
        try:
            answer = request_json(self.batch, self.retry_policy, headers, asked)
        except TransientError as error:
            raise TransientError(f"a Git LFS pointer; its server: {error}", error.after) from error
        except SourceError as error:
            raise SourceError(f"a Git LFS pointer; its server: {error}") from error
        href, header = _download_action(answer, pointer)
        allowed = ("https://",) if self.batch.startswith("https://") else ("https://", "http://")
        if not href.startswith(allowed):
            raise SourceError(f"the Git LFS server sends to {shown(href)}; expected an https:// address")
        return HttpSource(href, self.retry_policy, self.url, header)


def _peek(stream: Stream) -> tuple[bytes, Stream]:
    """The first bytes of a content that is short enough for a pointer, else b""; and the whole stream."""
    size = stream.validators.size
    if stream.start or (size is not None and size >= MAX_POINTER_BYTES):
        return b"", stream
    text, read = b"", []
    for chunk in stream.chunks:
        read.append(chunk)
        text += chunk
        if len(text) >= MAX_POINTER_BYTES:
            break
    return text, replace(stream, chunks=itertools.chain(read, stream.chunks))


def _download_action(answer: dict[str, Any], pointer: Pointer) -> tuple[str, dict[str, str]]:
    """URL and headers of the download in an answer of the Batch API."""
    try:
        (found,) = answer["objects"]
        if (error := found.get("error")) is not None:
            raise SourceError(
                f"a Git LFS pointer; its server: {error.get('code')} {shown(str(error.get('message')))}"
            )
        if found["oid"] != pointer.sha256:
            raise SourceError(f"the Git LFS server answers about another file: {shown(str(found['oid']))}")
        action = found["actions"]["download"]
        header = action.get("header") or {}
        if not (isinstance(action["href"], str) and isinstance(header, dict)):
            raise TypeError
        return action["href"], {str(name): str(value) for name, value in header.items()}
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise SourceError("a Git LFS pointer; its server answers, but names no download") from error
