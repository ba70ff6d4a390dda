"""The kinds of places that hold images, and sentences that list them."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import TypeVar

from converters import Registry, modules_in
from zoo.datasets.source import ImageSource

SourceClass = TypeVar("SourceClass", bound=type[ImageSource])

_SOURCES: Registry[type[ImageSource]] = Registry("dataset source")


def register_source(source: SourceClass) -> SourceClass:
    """Register the decorated class under its `kind`. ValueError if there is a source of that kind."""
    _SOURCES.add(source.kind, source)
    return source


def all_sources() -> list[type[ImageSource]]:
    """All sources, those of `zoo/datasets/sources` included, in the order in which they are tried."""
    from zoo.datasets import sources

    for _ in modules_in(sources):
        pass
    return sorted(_SOURCES.values(), key=lambda source: (source.trial, source.kind.lower()))


def kinds_of_sources() -> str:
    """All kinds in words: `a folder, tar, Caffe LMDB, parquet or WebDataset shards, or a packed file`."""
    *others, last = _shared_last_words(source.kind for source in _listed())
    return f"a {', '.join(others)}, or a {last}"


def expected_sources() -> str:
    """What `open_dataset` takes: `a folder of images, a Caffe LMDB, ..., or a file of dsd-zoo pack`."""
    *others, last = _shared_last_words(source.description for source in _listed())
    return f"{', '.join(others)}, or {last}"


def _listed() -> list[type[ImageSource]]:
    """The sources in the order of lists: the commonest first."""
    return sorted(all_sources(), key=lambda source: -source.trial)


def _shared_last_words(phrases: Iterable[str]) -> list[str]:
    """`parquet shards` and `WebDataset shards`, side by side, as `parquet or WebDataset shards`."""
    merged = []
    for last, group in groupby((phrase.rpartition(" ") for phrase in phrases), key=lambda parts: parts[2]):
        before = [parts[0] for parts in group]
        merged.append(f"{' or '.join(before)} {last}".strip())
    return merged
