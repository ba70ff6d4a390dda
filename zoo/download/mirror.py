"""Exports the cache to a folder, to move to another machine or to serve as a mirror, and imports it.

<folder>/<model>/<file name>   the files under their own names, where `fetch --mirror` looks for them
<folder>/index.json            the record of each: its digests, its source, and when it was added
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from converters import atomic_write
from zoo.download.fetch import import_file
from zoo.errors import IntegrityError, UsageError, ZooError
from zoo.files import cannot_write
from zoo.store.digests import Digests, Hasher, read_chunks
from zoo.store.index import Index, IndexEntry

if TYPE_CHECKING:
    from zoo.catalog.catalog import Catalog
    from zoo.catalog.manifest import Manifest, ModelFile
    from zoo.store.cache import Cache

INDEX_NAME = "index.json"


@dataclass(frozen=True, slots=True)
class CopiedFile:
    """The outcome for one file: its size or why it was skipped, or the error that stopped it."""

    model: str
    name: str
    outcome: str | ZooError


def export_cache(cache: Cache, models: Iterable[Manifest], folder: Path) -> Iterator[CopiedFile]:
    """Copy the cached files of these models to `folder`, and yield the outcome of each.

    Every file is hashed, and not exported if it is not the one on record. Files that ship with the zoo are
    not exported. UsageError if `folder` is no folder, or holds anything but an export.
    """
    index = _index(folder)
    if folder.exists() and not (folder.is_dir() and (index.path.exists() or not any(folder.iterdir()))):
        raise UsageError(f"{folder}: expected a new folder, or an earlier export")
    for manifest in models:
        for file in manifest.model_files():
            path = cache.find(file)
            if path is None or file.entry.path is not None:
                continue
            try:
                record = _export(file, path, folder / file.model / file.name, cache)
                index.put(file.model, file.name, record)
            except OSError as error:
                raise cannot_write(folder, "the export", error) from error
            except IntegrityError as error:
                yield CopiedFile(file.model, file.name, IntegrityError(f"{path}: {error}"))
                continue
            yield CopiedFile(file.model, file.name, f"{record.digests.bytes:,} bytes")


def import_cache(cache: Cache, catalog: Catalog, folder: Path) -> Iterator[CopiedFile]:
    """Copy an export into the cache, and yield the outcome of each file.

    Every file must agree with its manifest and with the record in the export. If no hash was known
    beforehand, the first use on the other machine counts, unless the file was used here before.
    UsageError if `folder` is no export.
    """
    index = _index(folder)
    if not index.path.is_file():
        raise UsageError(f"{folder}: no {INDEX_NAME} in it; `dsd-zoo export-cache` writes such a folder")
    for model, name, record in index:
        yield CopiedFile(model, name, _import(cache, catalog, folder / model / name, model, name, record))


def _index(folder: Path) -> Index:
    return Index(folder / INDEX_NAME, None, "export the cache again")


def _export(file: ModelFile, path: Path, target: Path, cache: Cache) -> IndexEntry:
    target.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(target) as written:
        digests = _copy(path, written)
        cache.check(file, digests)
    # A file that was downloaded for another model has no record under this name.
    known = cache.index.get(file.model, file.name) or next(
        (record for _, _, record in cache.index if record.digests.sha256 == digests.sha256), None
    )
    return IndexEntry(digests, "unknown", "unknown") if known is None else replace(known, digests=digests)


def _copy(path: Path, target: Path) -> Digests:
    hasher = Hasher(path.stat().st_size)
    with target.open("wb") as file:
        for chunk in read_chunks(path):
            hasher.update(chunk)
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    return hasher.finish(target)


def _import(
    cache: Cache, catalog: Catalog, path: Path, model: str, name: str, record: IndexEntry
) -> str | ZooError:
    # The names come from a file: only names that a manifest also has may become a path.
    files = catalog.get(model).model_files() if model in catalog else []
    file = next((file for file in files if file.name == name), None)
    if file is None:
        return UsageError(f"{model}/{name}: no such model or file in the catalog (see --manifests)")
    if cache.find(file) is not None:
        return "already here"
    try:
        stored = import_file(file, path, cache, record=record)
    except ZooError as error:
        return error
    return f"{stored.stat().st_size:,} bytes"
