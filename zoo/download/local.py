"""Files from file:// URLs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from zoo.download.stream import SourceError, Stream, Validators
from zoo.store.digests import read_chunks


@dataclass(frozen=True, slots=True)
class LocalSource:
    """The file at a file:// URL."""

    url: str

    @property
    def name(self) -> str:
        """See `DownloadSource`."""
        return self.url

    @contextmanager
    def open(self, start: int, validators: Validators) -> Iterator[Stream]:
        """See `DownloadSource`. It always starts at the beginning."""
        parts = urlsplit(self.url)
        if parts.netloc not in ("", "localhost"):
            raise SourceError(f"a file:// URL names a file of this machine, not of '{parts.netloc}'")
        path = Path(url2pathname(parts.path))
        if not path.is_file():
            raise SourceError("no such file")
        yield Stream(0, Validators(size=path.stat().st_size), _chunks(path))


def _chunks(path: Path) -> Iterator[bytes]:
    try:
        yield from read_chunks(path)
    except OSError as error:
        raise SourceError(f"cannot be read: {error.strerror}") from error
