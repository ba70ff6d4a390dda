"""What a fuzzed reader is: how it reads some bytes, and the sound files that fuzzing starts from."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
CORPUS = HERE.parent / "corpus"
# Larger seeds leave the fuzzer little room: it tries inputs of up to MOST_BYTES.
MOST_SEED_BYTES = 1 << 16
MOST_BYTES = 1_000_000

sys.path[:0] = [str(HERE), str(HERE.parent / "support")]


@dataclass(frozen=True, slots=True)
class Reader:
    """One kind of input.

    name: for the table.
    read: reads the content with the zoo's own code; the folder is empty, and its own.
    seeds: makes sound inputs; the folder is for what must be written on the way.
    """

    name: str
    read: Callable[[bytes, Path], object]
    seeds: Callable[[Path], Iterable[bytes]]


_READERS: dict[str, Reader] = {}


def reader(
    name: str, seeds: Callable[[Path], Iterable[bytes]]
) -> Callable[[Callable[[bytes, Path], object]], Callable[[bytes, Path], object]]:
    """Register the decorated function as the reader of this name."""

    def register(read: Callable[[bytes, Path], object]) -> Callable[[bytes, Path], object]:
        assert name not in _READERS, name
        _READERS[name] = Reader(name, read, seeds)
        return read

    return register


def all_readers() -> dict[str, Reader]:
    """All readers by name, in the order in which they are written down."""
    for module in ("readers_of_nets", "readers_of_images", "readers_of_records", "readers_of_downloads"):
        importlib.import_module(module)
    return _READERS


def own_errors() -> tuple[type[Exception], ...]:
    """What a reader may raise for bad input."""
    from converters import ConverterError
    from zoo.download.stream import SourceError
    from zoo.errors import ZooError

    return ConverterError, ZooError, SourceError


def written(path: Path, content: bytes) -> Path:
    """`path`, as a new file: an earlier one may still be mapped."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_bytes(content)
    return path


def files(*patterns: str, most: int = 400) -> list[Path]:
    """Small files of the corpus that match one of the patterns, spread over all of them."""
    found = [path for pattern in patterns for path in sorted(CORPUS.glob(pattern))]
    small = [path for path in found if 0 < path.stat().st_size <= MOST_SEED_BYTES]
    step = max(1, len(small) // most)
    return small[::step]
