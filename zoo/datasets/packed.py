"""The packed format of `dsd-zoo pack`: images decoded and resized once, for many runs.

The file, all numbers little-endian:

    8 bytes     "dsdpack1"
    pixels      every image at a multiple of 64: height x width x 3 of `dtype`, in the flavour's channel order
    index       JSON, see `Index`
    8, 8 bytes  offset and length of the index
    32 bytes    SHA-256 of the index
    8 bytes     "dsdpack1"

The pixels are the first stage of one flavour, whose name is in the index: no other flavour can be made of
them. Every image has a CRC-32, checked whenever it is read, and the SHA-256 of the file it was made of.
"""

from __future__ import annotations

import hashlib
import mmap
import struct
import zlib
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from zoo.datasets.dataset import Record
from zoo.errors import DataError
from zoo.preprocessing.decode import DecodedImage

MAGIC = b"dsdpack1"
ALIGNMENT = 64
TRAILER = struct.Struct("<QQ32s8s")
CHANNELS = 3

Count = Annotated[int, Field(ge=0)]


class Image(BaseModel):
    """One image. Where it could not be decoded, `problem` says why, and it has no pixels."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    label: Count
    sha256: str = ""
    rotated: bool = False
    offset: Count = 0
    height: Count = 0
    width: Count = 0
    crc32: Count = 0
    problem: str | None = None


class Index(BaseModel):
    """What a packed file holds, and where it came from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    flavour: str
    dtype: Literal["uint8", "float32"]
    source: str
    labels: str
    images: list[Image]


class Packed:
    """A packed file, memory-mapped: images are views of it."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self._content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._index = _read_index(self._content, path)
        self._dtype = np.dtype(self._index.dtype)
        self.flavour: str | None = self._index.flavour
        self.labels_source = f"{self._index.labels}, packed from {self._index.source}"
        self.records = [Record(image.name, image.label) for image in self._index.images]

    @staticmethod
    def accepts(path: Path) -> bool:
        """Whether `path` is for this source."""
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC

    def read(self, index: int) -> DecodedImage:
        """The pixels of an image. DataError if they are not what was written, or never could be decoded."""
        image = self._index.images[index]
        if image.problem is not None:
            raise DataError(image.problem)
        count = image.height * image.width * CHANNELS
        content = memoryview(self._content)[image.offset : image.offset + count * self._dtype.itemsize]
        if zlib.crc32(content) != image.crc32:
            raise DataError("the packed pixels are damaged (their CRC-32 is another one): pack again")
        pixels = np.frombuffer(content, self._dtype).reshape(image.height, image.width, CHANNELS)
        return DecodedImage(pixels, image.sha256, self._index.flavour, image.rotated)

    def close(self) -> None:
        """Nothing to do: the map goes with the last image that looks at it."""


def _read_index(content: mmap.mmap, path: Path) -> Index:
    """The index, after everything it says was compared with the bytes there are."""
    damaged = f"{path}: the packed file is truncated or damaged"
    if len(content) < len(MAGIC) + TRAILER.size:
        raise DataError(f"{damaged}: {len(content)} bytes")
    offset, length, digest, magic = TRAILER.unpack(content[-TRAILER.size :])
    if magic != MAGIC or offset + length + TRAILER.size != len(content):
        raise DataError(f"{damaged}: it does not end as it should; pack again")
    text = content[offset : offset + length]
    if hashlib.sha256(text).digest() != digest:
        raise DataError(f"{damaged}: its index has another checksum; pack again")
    try:
        index = Index.model_validate_json(text)
    except ValidationError as error:
        raise DataError(f"{damaged}: {error.errors(include_url=False)[0]['msg']}") from error
    itemsize = np.dtype(index.dtype).itemsize
    for image in index.images:
        if image.offset + image.height * image.width * CHANNELS * itemsize > offset:
            raise DataError(f"{damaged}: {image.name} reaches beyond the pixels")
    return index
