"""A real HTTP server that misbehaves on purpose, and a model whose file comes from it."""

from __future__ import annotations

import hashlib
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from zoo.catalog.manifest import Manifest, ModelFile
from zoo.store.cache import Cache

CONTENT = hashlib.shake_256(b"a model").digest(1_280_000)
ETAG = '"first"'

Behaviour = Callable[["Handler", "Site"], None]


@dataclass
class Site:
    """The content of the server, its behaviour for each request (the last one stays), and the requests."""

    content: bytes = CONTENT
    etag: str | None = ETAG
    last_modified: str | None = None
    script: list[Behaviour] = field(default_factory=list)
    routes: dict[str, Behaviour] = field(default_factory=dict)
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    port: int = 0
    scheme: str = "http"

    def url(self, path: str = "/w") -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}{path}"

    @property
    def ranges(self) -> list[str | None]:
        return [headers.get("Range") for _, headers in self.requests]


class Handler(BaseHTTPRequestHandler):
    """Answers each request with the behaviour that the site has for it."""

    protocol_version = "HTTP/1.1"
    site: Site

    def do_GET(self) -> None:
        self.site.requests.append((self.path, dict(self.headers)))
        behave = self.site.routes.get(self.path.split("?")[0])
        if behave is None:
            script = self.site.script
            behave = serve if not script else script.pop(0) if len(script) > 1 else script[0]
        behave(self, self.site)

    def do_POST(self) -> None:
        self.site.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.do_GET()

    def log_message(self, format: str, *args: object) -> None:
        pass

    def begin(self, status: int, **headers: object) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if value is not None:
                self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def cut(self) -> None:
        """Ends the connection with a reset, as a broken network does."""
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()


def _part(handler: Handler, site: Site) -> tuple[int, int]:
    """Status and first byte of a well-behaved answer."""
    asked = handler.headers.get("Range")
    if asked is None or handler.headers.get("If-Range") not in (None, site.etag, site.last_modified):
        return 200, 0
    start = int(asked.removeprefix("bytes=").rstrip("-"))
    return (206, start) if start < len(site.content) else (416, start)


def _begin_part(handler: Handler, site: Site) -> bytes:
    status, start = _part(handler, site)
    body = site.content[start:] if status != 416 else b""
    size = len(site.content)
    handler.begin(
        status,
        Content_Length=len(body),
        Content_Range={206: f"bytes {start}-{size - 1}/{size}", 416: f"bytes */{size}"}.get(status),
        ETag=site.etag,
        Last_Modified=site.last_modified,
    )
    return body


def serve(handler: Handler, site: Site) -> None:
    """Correct: ranges, If-Range, a length, an entity tag."""
    handler.wfile.write(_begin_part(handler, site))


def drop_after(count: int) -> Behaviour:
    """Announces all bytes, sends `count`, then resets the connection."""

    def behave(handler: Handler, site: Site) -> None:
        handler.wfile.write(_begin_part(handler, site)[:count])
        handler.cut()

    return behave


def throttled(bytes_per_second: int) -> Behaviour:
    """Correct, but slow."""

    def behave(handler: Handler, site: Site) -> None:
        body = _begin_part(handler, site)
        piece = max(1, bytes_per_second // 100)
        for at in range(0, len(body), piece):
            handler.wfile.write(body[at : at + piece])
            handler.wfile.flush()
            time.sleep(0.01)

    return behave


def ignore_range(handler: Handler, site: Site) -> None:
    """The whole content for any request."""
    handler.begin(200, Content_Length=len(site.content), ETag=site.etag)
    handler.wfile.write(site.content)


def status(code: int, **headers: object) -> Behaviour:
    """Only a status."""
    return lambda handler, site: handler.begin(code, Content_Length=0, **headers)


def answer(body: bytes, code: int = 200, **headers: object) -> Behaviour:
    """This body for any request."""

    def behave(handler: Handler, site: Site) -> None:
        handler.begin(code, Content_Length=len(body), **headers)
        handler.wfile.write(body)

    return behave


def raw(body: bytes, **headers: object) -> Behaviour:
    """This body with exactly these headers, then the end of the connection."""

    def behave(handler: Handler, site: Site) -> None:
        handler.begin(200, Connection="close", **headers)
        handler.wfile.write(body)
        handler.close_connection = True

    return behave


def silent(seconds: float) -> Behaviour:
    """Waits, then closes the connection without an answer."""

    def behave(handler: Handler, site: Site) -> None:
        time.sleep(seconds)
        handler.close_connection = True

    return behave


@contextmanager
def running(tls: ssl.SSLContext | None = None) -> Iterator[Site]:
    """The server, while the block runs."""
    handler = type("SiteHandler", (Handler,), {"site": Site()})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
            handler.site.scheme = "https"
        # Clients that close the connection are no error here.
        server.handle_error = lambda request, address: None  # type: ignore[method-assign]
        handler.site.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield handler.site
        server.shutdown()
        thread.join()


def known(content: bytes = CONTENT) -> dict[str, object]:
    """The size and all hashes of a content, as in a manifest."""
    return {
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "sha384": hashlib.sha384(content).hexdigest(),
        "sha1": hashlib.sha1(content).hexdigest(),
        "git_blob": hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest(),
    }


def model(*urls: str, **on_record: object) -> ModelFile:
    """The file of a model that has only this file, with these URLs."""
    manifest = Manifest.model_validate(
        {
            "schema_version": 1,
            "name": "tiny",
            "title": "Tiny",
            "summary": "A net for tests.",
            "architecture": "tiny",
            "recipe": "dense",
            "framework": "caffe",
            "dataset": "digits-test",
            "classes": 10,
            "input_shape": [3, 32, 32],
            "citation": "nobody",
            "license": {"name": "BSD-2-Clause"},
            "preprocessing": {"flavour": "caffe-warp36", "crop": 32},
            "files": [{"name": "tiny.caffemodel", "role": "weights", "urls": urls, **on_record}],
        }
    )
    return ModelFile(manifest, manifest.files[0])


def left_behind(cache: Cache) -> list[str]:
    """All paths below the cache except locks."""
    return sorted(
        path.relative_to(cache.root).as_posix()
        for path in cache.root.rglob("*")
        if path.is_file() and path.parent.name != "locks"
    )


def stored(content: bytes = CONTENT) -> list[str]:
    """The paths below a cache that holds only this file."""
    sha256 = hashlib.sha256(content).hexdigest()
    return sorted(["index.json", f"sha256/{sha256[:2]}/{sha256}/tiny.caffemodel"])
