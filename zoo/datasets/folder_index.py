"""The names of a folder's files, listed once and kept: listing ImageNet's training images takes minutes.

An index is right as long as every folder in it has the time of change that was recorded: adding, removing or
renaming an entry changes that of its folder. It is checked with one stat of each folder, a thousand for
ImageNet, and no listing.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from converters import atomic_write

FORMAT = 1
# A folder that changed this shortly ago may change again within one tick of the file system's clock.
SETTLED_NS = 2_000_000_000

# The file names in each folder, by its path relative to the first one ("" for that).
Listing = Mapping[str, list[str]]


def indexed_listing(folder: Path, indexes: Path, listed: Callable[[], Listing]) -> Listing:
    """The listing of a folder: from its index in the folder `indexes` if that is right, else from `listed`.

    A new listing is written into the index; where that is impossible, it is only returned.
    """
    resolved = folder.resolve()
    path = _place(resolved, indexes)
    known = _read(path, resolved)
    if known is not None:
        return known
    before = time.time_ns()
    listing = listed()
    times = _times(resolved, listing)
    if times is not None and all(before - changed > SETTLED_NS for changed in times.values()):
        content = {"format": FORMAT, "folder": str(resolved), "times": times, "names": dict(listing)}
        with suppress(OSError, UnicodeEncodeError):
            indexes.mkdir(parents=True, exist_ok=True)
            with atomic_write(path) as temporary:
                temporary.write_text(json.dumps(content, ensure_ascii=True), encoding="ascii")
    return listing


def has_index(folder: Path, indexes: Path) -> bool:
    """Whether the listing of a folder is kept in `indexes` and still right."""
    resolved = folder.resolve()
    return _read(_place(resolved, indexes), resolved) is not None


def _place(resolved: Path, indexes: Path) -> Path:
    return indexes / f"{hashlib.sha256(os.fsencode(resolved)).hexdigest()}.json"


def _read(path: Path, folder: Path) -> Listing | None:
    """The listing in an index; None if there is none, or it is damaged or out of date."""
    try:
        content = json.loads(path.read_bytes())
        names, times = content["names"], content["times"]
        right = content["format"] == FORMAT and content["folder"] == str(folder)
        return names if right and names.keys() == times.keys() and _times(folder, names) == times else None
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _times(folder: Path, listing: Listing) -> dict[str, int] | None:
    """When each folder changed last, in nanoseconds; None if one is not there."""
    try:
        return {name: (folder / name).stat().st_mtime_ns for name in listing}
    except OSError:
        return None
