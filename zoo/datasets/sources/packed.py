"""A file of `dsd-zoo pack`; `zoo.datasets.packed_format` describes it."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from converters import FileView, SourceFile
from zoo.datasets.registry import register_source
from zoo.datasets.source import Record, Records
from zoo.errors import DataError, excerpt

if TYPE_CHECKING:
    from zoo.preprocessing.decode import DecodedImage


@register_source
class Packed(Records):
    """A packed file; every image is read when it is needed."""

    kind: ClassVar[str] = "packed file"
    description: ClassVar[str] = "a file of dsd-zoo pack"
    trial: ClassVar[int] = 0

    def __init__(self, path: Path) -> None:
        from zoo.datasets.packed_format import read_index

        self._file = SourceFile(path)
        self._index = read_index(FileView(self._file, 0, self._file.state.size), path)
        self.flavour = self._index.flavour
        self.labels_source = f"{self._index.labels}, packed from {self._index.source}"
        self.records = [Record(image.name, image.label) for image in self._index.images]

    @classmethod
    def accepts(cls, path: Path) -> bool:
        """A file that begins with the format's magic bytes."""
        from zoo.datasets.packed_format import MAGIC

        if not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC

    def read(self, index: int) -> DecodedImage:
        """The pixels of an image. DataError if they are damaged, or if the image could not be decoded.

        converters.SourceChangedError if the packed file has changed since it was opened.
        """
        import numpy as np

        from zoo.datasets.packed_format import CHANNELS
        from zoo.preprocessing.decode import DecodedImage

        dtype = np.dtype(self._index.dtype)
        image = self._index.images[index]
        if image.problem is not None:
            raise DataError(excerpt(image.problem))
        count = image.height * image.width * CHANNELS
        content = self._file.read(image.offset, count * dtype.itemsize)
        self._file.check_content()
        if zlib.crc32(content) != image.crc32:
            raise DataError("the packed pixels are damaged (their CRC-32 is another one): pack again")
        pixels = np.frombuffer(content, dtype).reshape(image.height, image.width, CHANNELS)
        return DecodedImage(pixels, image.sha256, self._index.flavour, image.rotated)

    def close(self) -> None:
        """Close the packed file."""
        self._file.close()
