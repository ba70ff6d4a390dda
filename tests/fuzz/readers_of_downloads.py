"""The readers of what servers send: answers, records of shared files, archives, validators."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import http.client
import io
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import requests
import urllib3
from misbehaving_server import model
from reader import reader, written

from zoo.download.archive import find_member, most_unpacked, read_member
from zoo.download.content import HEAD_BYTES, kind_of_content
from zoo.download.http import HttpSource
from zoo.download.onedrive import SharedItem
from zoo.download.partial import Partial
from zoo.download.retry import RetryPolicy
from zoo.download.stream import Validators

URL, TOKEN_URL, ITEM_URL = "http://localhost/w", "http://localhost/token", "http://localhost/item"
FILE = model(URL).entry
MOST_UNPACKED = 1 << 24
CONTENT = b"the weights of a net" * 40


def _archives(folder: Path) -> Iterator[bytes]:
    for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", compression) as archive:
            archive.writestr("a/read.me", "text")
            archive.writestr("a/tiny.caffemodel", CONTENT)
        yield out.getvalue()
    for mode in ("w:", "w:gz", "w:bz2"):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode=mode) as archive:
            for name in ("read.me", "tiny.caffemodel"):
                member = tarfile.TarInfo(f"a/{name}")
                member.size = len(CONTENT)
                archive.addfile(member, io.BytesIO(CONTENT))
        yield out.getvalue()
    yield gzip.compress(CONTENT)
    yield bz2.compress(CONTENT)


@reader("archive", _archives)
def read_archive(content: bytes, folder: Path) -> None:
    kind = kind_of_content(FILE, content[:HEAD_BYTES])
    if kind is None:
        return
    path = written(folder / "archive", content)
    most = most_unpacked(path)
    member = find_member(path, kind, FILE, most)
    for _ in read_member(path, kind, member, most):
        pass


class _Socket:
    """A connection that has received these bytes."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def makefile(self, mode: str) -> io.BytesIO:
        return io.BytesIO(self._content)


def _response(asked: requests.PreparedRequest, content: bytes) -> requests.Response:
    """The answer in these bytes, read by urllib3 and requests, with the errors that they raise."""
    answer = http.client.HTTPResponse(_Socket(content), method="GET")  # type: ignore[arg-type]
    try:
        answer.begin()
    except (http.client.HTTPException, OSError, ValueError) as error:
        raise requests.ConnectionError(urllib3.exceptions.ProtocolError("bad answer", error)) from error
    raw = urllib3.HTTPResponse(
        body=answer,
        headers=urllib3.HTTPHeaderDict(answer.msg.items()),
        status=answer.status,
        reason=answer.reason,
        version=answer.version,
        preload_content=False,
        decode_content=False,
        original_response=answer,
        request_method="GET",
    )
    return requests.adapters.HTTPAdapter().build_response(asked, raw)


@contextlib.contextmanager
def _server(answers: Callable[[str], bytes]) -> Iterator[None]:
    """Every request is answered with the bytes for its URL."""

    def send(
        adapter: requests.adapters.HTTPAdapter, asked: requests.PreparedRequest, **options: object
    ) -> requests.Response:
        return _response(asked, answers(str(asked.url)))

    with mock.patch.object(requests.adapters.HTTPAdapter, "send", send):
        yield


def _http_answers(folder: Path) -> Iterator[bytes]:
    size = len(CONTENT)
    for head in (
        f'200 OK\r\nContent-Length: {size}\r\nETag: "a"\r\nLast-Modified: Mon, 01 Jan 2026 00:00:00 GMT',
        f"206 Partial Content\r\nContent-Range: bytes 5-{size + 4}/{size + 5}\r\nContent-Length: {size}",
        "416 Range Not Satisfiable\r\nContent-Range: bytes */5\r\nContent-Length: 0",
        "503 Busy\r\nRetry-After: 7\r\nContent-Length: 0",
        "429 Busy\r\nRetry-After: Mon, 01 Jan 2029 00:00:00 GMT\r\nContent-Length: 0",
    ):
        yield b"HTTP/1.1 " + head.encode() + b"\r\n\r\n" + CONTENT
    yield b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n"
    packed = gzip.compress(CONTENT)
    yield b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed) + packed


def _receive(source: HttpSource | SharedItem, start: int) -> None:
    with source.open(start, Validators(etag='"a"', size=None)) as stream:
        came = 0
        for chunk in stream.chunks:
            came += len(chunk)
            if came > MOST_UNPACKED:
                break


@reader("answer of a server", _http_answers)
def read_http_answer(content: bytes, folder: Path) -> None:
    with _server(lambda url: content):
        _receive(HttpSource(URL, RetryPolicy()), 5 if b"206" in content[:16] or b"416" in content[:16] else 0)


def _items(folder: Path) -> Iterator[bytes]:
    hashes = '{"hashes": {"sha1Hash": "AB", "sha256Hash": "CD"}}'
    yield f'{{"size": {len(CONTENT)}, "@content.downloadUrl": "{URL}", "file": {hashes}}}'.encode()
    yield b'{"folder": {}, "size": "5"}'


@reader("record of a shared file", _items)
def read_shared_item(content: bytes, folder: Path) -> None:
    def answers(url: str) -> bytes:
        body = {TOKEN_URL: b'{"token": "t"}', ITEM_URL: content}.get(url, CONTENT)
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body

    with _server(answers):
        _receive(SharedItem("shared", ITEM_URL, TOKEN_URL, RetryPolicy()), 0)


@reader("record of a partial download", lambda folder: [b'{"etag": "a", "last_modified": null, "size": 800}'])
def read_partial(content: bytes, folder: Path) -> None:
    with Partial(folder, URL, FILE) as partial:
        partial.begin(0, Validators())
        partial.write(CONTENT)
    next(folder.glob("*.json")).write_bytes(content)
    with Partial(folder, URL, FILE) as partial:
        partial.finish()
        partial.discard()
