"""Labelled images in an LMDB of Caffe's Datum records, in the order of the keys, as Caffe reads them."""

from __future__ import annotations

import re
import struct
from pathlib import Path

from zoo.datasets import datum
from zoo.datasets.dataset import Record, Stored
from zoo.errors import DataError

DATA_NAME = "data.mdb"
# lmdb.h and mdb.c, version 1 (LMDB 0.9): a meta page is a page header of 16 bytes, then magic, version,
# address, map size, two database records of 48 bytes (the page size opens the first), the last page's number.
META = struct.Struct("<16x I I Q Q I 92x Q")
MAGIC, VERSION = 0xBEEFC0DE, 1
PAGE_SIZES = frozenset(1 << bits for bits in range(9, 17))
# convert_imageset puts the line number before the name.
NUMBERED = re.compile(r"\d{8,}_(?=.)")


class CaffeLmdb:
    """The folder of an LMDB, or its data.mdb. Several threads may read at once; nothing is ever written."""

    labels_source = "the LMDB's records"
    flavour: str | None = None

    def __init__(self, path: Path) -> None:
        import lmdb

        self._path = path
        file = path / DATA_NAME if path.is_dir() else path
        _check_meta(file)
        try:
            # Without lock file, so that it works on a read-only disk; readahead only hurts random reads.
            self._env = lmdb.open(
                str(file), subdir=False, readonly=True, lock=False, readahead=False, max_dbs=0
            )
        except lmdb.Error as error:
            raise DataError(f"{file}: not a readable LMDB: {error}") from error
        self._keys: list[bytes] = []
        self.records = self._index()

    @staticmethod
    def accepts(path: Path) -> bool:
        """Whether `path` is for this source."""
        return (path / DATA_NAME).is_file() or (path.name == DATA_NAME and path.is_file())

    def read(self, index: int) -> bytes | Stored:
        """The image of a record: encoded bytes, or stored pixels."""
        import lmdb

        key = self._keys[index]
        try:
            with self._env.begin(buffers=True) as transaction:
                record = transaction.get(key)
                if record is None:
                    raise DataError("the record is gone")
                return datum.read_image(record)
        except lmdb.Error as error:
            raise DataError(f"the record cannot be read: {error}") from error

    def close(self) -> None:
        """Let go of the memory map."""
        self._env.close()

    def _index(self) -> list[Record]:
        """Key and label of every record. Names lose the line number where they stay different without."""
        import lmdb

        labels: list[int] = []
        try:
            with self._env.begin(buffers=True) as transaction:
                for key, record in transaction.cursor():
                    self._keys.append(bytes(key))
                    labels.append(self._label(bytes(key), record))
        except lmdb.Error as error:
            raise DataError(f"{self._path}: the LMDB cannot be read: {error}") from error
        names = [key.decode("utf-8", "backslashreplace") for key in self._keys]
        short = [NUMBERED.sub("", name, count=1) for name in names]
        return [
            Record(name, label)
            for name, label in zip(short if len(set(short)) == len(short) else names, labels, strict=True)
        ]

    def _label(self, key: bytes, record: memoryview) -> int:
        try:
            return datum.read_label(record)
        except DataError as error:
            raise DataError(f"{self._path}: the record {key!r} is no Datum of Caffe: {error}") from error


def _check_meta(file: Path) -> None:
    """A file that is shorter than its pages would end the process when a missing page is touched."""
    try:
        size = file.stat().st_size
        with file.open("rb") as opened:
            head = opened.read(META.size)
            if len(head) < META.size or META.unpack(head)[:2] != (MAGIC, VERSION):
                raise DataError(f"{file}: not an LMDB data file (expected its magic number and version 1)")
            page = META.unpack(head)[4]
            if page not in PAGE_SIZES:
                raise DataError(f"{file}: damaged: pages of {page} bytes")
            opened.seek(page)
            second = opened.read(META.size)
    except OSError as error:
        raise DataError(f"{file}: the LMDB cannot be read: {error.strerror}") from error
    last = max(META.unpack(meta)[5] for meta in (head, second) if len(meta) == META.size)
    if (last + 1) * page > size:
        raise DataError(
            f"{file}: truncated: it has {size} bytes, its pages take {(last + 1) * page}; copy it again"
        )
