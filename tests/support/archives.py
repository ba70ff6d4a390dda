"""Archives in memory: zips and tars, plain and compressed, with a model's weights in them."""

from __future__ import annotations

import bz2
import gzip
import io
import tarfile
import zipfile

from misbehaving_server import CONTENT


def zipped(*members: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return buffer.getvalue()


def tarred(*members: tuple[str, bytes], pax: bool = False) -> bytes:
    buffer = io.BytesIO()
    form = tarfile.PAX_FORMAT if pax else tarfile.USTAR_FORMAT
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            info.pax_headers = {"comment": "x" * 2000} if pax else {}
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


WITH_COMPANY = (("net/deploy.prototxt", b"name: 'x'"), ("net/tiny.caffemodel", CONTENT), ("a.log", b"log"))
ARCHIVES = {
    "zip": zipped(*WITH_COMPANY),
    "zip stored": zipped(*WITH_COMPANY, method=zipfile.ZIP_STORED),
    "zip bzip2": zipped(*WITH_COMPANY, method=zipfile.ZIP_BZIP2),
    "tar": tarred(*WITH_COMPANY),
    "tar pax": tarred(*WITH_COMPANY, pax=True),
    "tar.gz": gzip.compress(tarred(*WITH_COMPANY)),
    "tar.bz2": bz2.compress(tarred(*WITH_COMPANY)),
    "gz": gzip.compress(CONTENT),
    "bz2": bz2.compress(CONTENT),
}
