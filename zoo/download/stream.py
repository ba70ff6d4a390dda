"""What every kind of source gives: a stream of bytes with its announced size, or the reason why not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


class SourceError(Exception):
    """One source did not deliver; the text says why, to be listed with its URL. Another may still."""


@dataclass(frozen=True, slots=True)
class Stream:
    """An open source. `size` is what it announces in bytes, or None."""

    size: int | None
    chunks: Iterator[bytes]
