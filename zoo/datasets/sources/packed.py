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
    from zoo.preprocessing.decode import DecodedImage, DecodedImages

# Bytes of several images that are read at once: they stay in a processor's own cache until they are used.
READ_AT_ONCE = 1 << 20


@register_source
class Packed(Records):
    """A packed file; images are read when they are needed, one alone or those of a batch together."""

    kind: ClassVar[str] = "packed file"
    description: ClassVar[str] = "a file of dsd-zoo pack"
    trial: ClassVar[int] = 0
    is_read_together: ClassVar[bool] = True

    def __init__(self, path: Path) -> None:
        from zoo.datasets.packed_format import PackedColumns, read_index

        self._file = SourceFile(path)
        index = read_index(FileView(self._file, 0, self._file.state.size), path)
        self.flavour = index.flavour
        self.labels_source = f"{index.labels}, packed from {index.source}"
        self._names = [image.name for image in index.images]
        self._labels = [image.label for image in index.images]
        self._images = PackedColumns(index)

    @property
    def records(self) -> list[Record]:  # type: ignore[override]
        """The images. They are made when they are asked for: a pack keeps no object for each image."""
        return list(map(Record, self._names, self._labels))

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
        from zoo.preprocessing.decode import DecodedImage

        images = self._images
        if index in images.problems:
            raise DataError(excerpt(images.problems[index]))
        start, end = images.extent(index, index + 1)
        content = self._file.read(start, end - start)
        self._file.check_content()
        if zlib.crc32(content) != images.checksums[index]:
            raise DataError("the packed pixels are damaged (their CRC-32 is another one): pack again")
        pixels = images.pixels(content, index)
        return DecodedImage(pixels, images.sha256[index], images.flavour, images.rotated[index])

    def read_together(self, first: int, end: int) -> DecodedImages | None:
        """The pixels of the first of these images, up to `READ_AT_ONCE`.

        None if one has none or is damaged, or if they do not lie side by side.

        converters.SourceChangedError if the packed file has changed since it was opened.
        """
        from zoo.preprocessing.decode import DecodedImages

        images = self._images
        end = images.end_within(first, end, READ_AT_ONCE)
        if not images.are_side_by_side(first, end):
            return None
        start, last = images.extent(first, end)
        content = memoryview(self._file.read(start, last - start))
        self._file.check_content()
        checksums = [zlib.crc32(content[begin:stop]) for begin, stop in images.extents(first, end)]
        if checksums != images.checksums[first:end]:
            return None
        return DecodedImages(
            images.pixels_together(content, first, end),
            images.sha256[first:end],
            images.flavour,
            images.rotated[first:end],
        )

    def close(self) -> None:
        """Close the packed file."""
        self._file.close()
