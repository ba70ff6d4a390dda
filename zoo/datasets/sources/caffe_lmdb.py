"""Labelled images in an LMDB of Caffe's Datum records, in the order of the keys, as Caffe reads them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from converters import FileView, SourceFile
from zoo.datasets.lmdb_pages import Location, record_locations
from zoo.datasets.registry import register_source
from zoo.datasets.source import Record, Records
from zoo.errors import DataError, excerpt

if TYPE_CHECKING:
    from zoo.preprocessing.decode import DecodedImage

DATA_NAME = "data.mdb"
# convert_imageset puts the line number before the name.
NUMBERED = re.compile(r"\d{8,}_(?=.)")


@register_source
class CaffeLmdb(Records):
    """The folder of an LMDB, or its data.mdb. Several threads may read at once; nothing is written."""

    kind: ClassVar[str] = "Caffe LMDB"
    description: ClassVar[str] = "a Caffe LMDB"
    labels_source = "the LMDB's records"

    def __init__(self, path: Path) -> None:
        file = path / DATA_NAME if path.is_dir() else path
        try:
            self._file = SourceFile(file)
        except OSError as error:
            raise DataError(f"{file}: the LMDB cannot be read: {error.strerror}") from error
        self._content = FileView(self._file, 0, self._file.state.size)
        try:
            self._locations = record_locations(self._content)
            self.records = self._index()
        except DataError as error:
            raise DataError(f"{file}: {error}") from error

    @classmethod
    def accepts(cls, path: Path) -> bool:
        """The folder of an LMDB, or its data.mdb."""
        return (path / DATA_NAME).is_file() or (path.name == DATA_NAME and path.is_file())

    def read(self, index: int) -> bytes | DecodedImage:
        """The image of a record: encoded bytes, or stored pixels.

        converters.SourceChangedError if the LMDB has changed since it was opened.
        """
        from zoo.datasets import datum

        location = self._locations[index]
        record = self._file.read(location.offset, location.size)
        self._file.check_content()
        return datum.read_image(memoryview(record))

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _record(self, location: Location) -> FileView:
        """A record of which little is read: its label stands behind the image."""
        return self._content.part(location.offset, location.size)

    def _index(self) -> list[Record]:
        """Name and label of every record. Without line numbers where names differ without them."""
        from zoo.datasets import datum

        labels = []
        for location in self._locations:
            try:
                labels.append(datum.read_label(self._record(location)))
            except DataError as error:
                raise DataError(
                    f"the record {excerpt(location.key)} is no Datum of Caffe: {error}"
                ) from error
        names = [location.key.decode("utf-8", "backslashreplace") for location in self._locations]
        short = [NUMBERED.sub("", name, count=1) for name in names]
        return [
            Record(name, label)
            for name, label in zip(short if len(set(short)) == len(short) else names, labels, strict=True)
        ]
