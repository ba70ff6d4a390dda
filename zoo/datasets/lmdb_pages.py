"""Finds the records of an LMDB in its file, and checks every step against the file's size.

The C library trusts the file: one wrong page number in a damaged copy ends the process. The format is that of
LMDB 0.9 (lmdb.h and mdb.c, format version 1, 64 bits, little-endian). A file is a sequence of pages of one
size. The first two are meta pages; the one with the later transaction is valid:

    page    number u64, -, flags u16, end of the node table u16 (or u32: pages of an overflow), -
    meta    page header, magic u32, version u32, -, size u64, two databases, last page u64, transaction u64
    database  page size u32 (in the first one), flags u16, depth u16, -, -, -, entries u64, root page u64
    node    low u16, high u16, flags u16, length of key u16, key, data

The second database holds the records, in a tree by key. A branch node has the number of a page in low, high
and flags; a leaf node the size of its data in low and high, and the data, or the number of the overflow page
where they begin.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from converters import FileView
from zoo.errors import DataError, excerpt

MAGIC, VERSION = 0xBEEFC0DE, 1
META = struct.Struct("<16x II 16x I 48x HH 24x QQQQ")
PAGE = struct.Struct("<10x HH 2x")
NODE = struct.Struct("<HHHH")
PAGE_NUMBER = struct.Struct("<Q")
PAGE_SIZES = frozenset(1 << bits for bits in range(9, 17))
# Flags of pages, and of leaf nodes.
BRANCH, LEAF, OVERFLOW = 1, 2, 4
IN_OVERFLOW = 1
EMPTY = (1 << 64) - 1
# The depth that the C library supports (CURSOR_STACK of mdb.c), and its longest key (MDB_MAXKEYSIZE).
MOST_LEVELS = 32
MOST_KEY_BYTES = 511


@dataclass(frozen=True, slots=True)
class Location:
    """A record: its key, and the offset and size of its data in the file."""

    key: bytes
    offset: int
    size: int


def record_locations(content: FileView) -> list[Location]:
    """All records of a file in the order of their keys.

    DataError where it is not an LMDB, is damaged, or is of a kind that Caffe does not write.
    """
    if len(content) < META.size or META.unpack(content[: META.size])[:2] != (MAGIC, VERSION):
        raise DataError("not an LMDB data file (expected its magic number and version 1)")
    size = META.unpack(content[: META.size])[2]
    if size not in PAGE_SIZES:
        raise DataError(f"damaged: pages of {size} bytes")
    if len(content) < size + META.size:
        raise DataError(f"truncated: it has {len(content)} bytes, less than two pages; copy it again")
    metas = [META.unpack(content[offset : offset + META.size]) for offset in (0, size)]
    *_, depth, entries, root, last, _ = max(
        (meta for meta in metas if meta[:2] == (MAGIC, VERSION)), key=lambda meta: meta[-1]
    )
    if (last + 1) * size > len(content):
        raise DataError(
            f"truncated: it has {len(content)} bytes, its pages take {(last + 1) * size}; copy it again"
        )
    if depth > MOST_LEVELS:
        raise DataError(f"damaged: {depth} levels of pages, LMDB has {MOST_LEVELS} at most")
    tree = _Tree(content, size)
    found = [] if root == EMPTY else list(tree.below(root, depth))
    tree.check_pages()
    if len(found) != entries:
        raise DataError(f"damaged: it has {len(found)} of its {entries} records; copy it again")
    return found


class _Tree:
    """The pages of a file. No byte may belong to two nodes, so that what is read is no larger."""

    def __init__(self, content: FileView, page_size: int) -> None:
        self._content = content
        self._page_size = page_size
        self._seen: set[int] = set()
        # The first page and the number of pages of the data that have pages of their own.
        self._overflows: list[tuple[int, int]] = []

    def below(self, number: int, depth: int) -> Iterator[Location]:
        """The records below a page that has `depth` levels of pages, itself included."""
        page = self._page(number)
        if number in self._seen:
            raise DataError(f"damaged: page {number} stands in the tree twice")
        self._seen.add(number)
        flags, end = PAGE.unpack_from(page)
        if flags != (LEAF if depth == 1 else BRANCH) or not PAGE.size <= end <= len(page) or end % 2:
            raise DataError(f"damaged: page {number} is none of the tree")
        starts = [start for (start,) in struct.iter_unpack("<H", page[PAGE.size : end])]
        nodes = [self._node(number, page, start, is_leaf=depth == 1) for start in starts]
        _check_apart(number, end, sorted(zip(starts, (after for _, _, after in nodes), strict=True)))
        for start, (node, data, _) in zip(starts, nodes, strict=True):
            low, high, upper, _ = node
            if depth > 1:
                yield from self.below(low | high << 16 | upper << 32, depth - 1)
            else:
                key = bytes(page[start + NODE.size : data])
                yield self._location(number, page, key, data, low | high << 16, is_apart=bool(upper))

    def check_pages(self) -> None:
        """DataError if the data of two records, or of a record and the tree, are in the same pages."""
        spans = sorted([*((number, 1) for number in self._seen), *self._overflows])
        for (first, count), (after, _) in itertools.pairwise(spans):
            if first + count > after:
                raise DataError(f"damaged: page {after} belongs to two records; copy it again")

    def _node(
        self, number: int, page: memoryview, start: int, *, is_leaf: bool
    ) -> tuple[tuple[int, int, int, int], int, int]:
        """The node that begins at `start`, where its data begin, and where it ends."""
        if start + NODE.size > len(page):
            raise DataError(f"damaged: a record of page {number} begins beyond it")
        node = NODE.unpack_from(page, start)
        low, high, flags, key_size = node
        data = start + NODE.size + key_size
        if key_size > MOST_KEY_BYTES:
            raise DataError(
                f"damaged: a key of {key_size} bytes in page {number}; LMDB has {MOST_KEY_BYTES} at most"
            )
        if is_leaf and flags & ~IN_OVERFLOW:
            raise DataError("an LMDB of databases or of several values for one key, which is none of Caffe's")
        size = (PAGE_NUMBER.size if flags else low | high << 16) if is_leaf else 0
        if data + size > len(page):
            raise DataError(f"damaged: a record of page {number} goes beyond it")
        return node, data, data + size

    def _location(
        self, number: int, page: memoryview, key: bytes, data: int, size: int, *, is_apart: bool
    ) -> Location:
        if not is_apart:
            return Location(key, number * self._page_size + data, size)
        (first,) = PAGE_NUMBER.unpack_from(page, data)
        offset = first * self._page_size + PAGE.size
        start = self._page(first)
        if PAGE.unpack_from(start)[0] != OVERFLOW or offset + size > len(self._content):
            raise DataError(f"damaged: the data of the record {excerpt(key)} are not where they should be")
        self._overflows.append((first, -(-(PAGE.size + size) // self._page_size)))
        return Location(key, offset, size)

    def _page(self, number: int) -> memoryview:
        page = self._content[number * self._page_size : (number + 1) * self._page_size]
        if len(page) < self._page_size:
            raise DataError(f"damaged: it has no page {number}")
        return page


def _check_apart(number: int, end: int, spans: Sequence[tuple[int, int]]) -> None:
    """DataError unless the nodes of a page, each from start to end, share no byte."""
    for start, after in spans:
        if start < end:
            raise DataError(f"damaged: records of page {number} overlap")
        end = after
