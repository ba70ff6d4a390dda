"""The packed format of `dsd-zoo pack`: images decoded and resized once, for many runs.

The file, all numbers little-endian:

    8 bytes     "dsdpack1"
    pixels      every image at a multiple of 64: height x width x 3 of `dtype`, in the flavour's channel order
    index       JSON, see `PackedIndex`
    8, 8 bytes  offset and length of the index
    32 bytes    SHA-256 of the index
    8 bytes     "dsdpack1"

The pixels are the result of the first stage of one flavour, which the index names; they cannot serve another
flavour. Every image has a CRC-32, checked whenever it is read, and the SHA-256 of its source file.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from converters import FileView
from zoo.errors import DataError, excerpt
from zoo.files import first_problem
from zoo.preprocessing.image_header import MOST_PIXELS

MAGIC = b"dsdpack1"
ALIGNMENT = 64
TRAILER = struct.Struct("<QQ32s8s")
CHANNELS = 3

Count = Annotated[int, Field(ge=0, lt=1 << 63)]
Side = Annotated[int, Field(ge=0, le=MOST_PIXELS)]


class PackedImage(BaseModel):
    """One image. An image that could not be decoded has no pixels; `problem` says why."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    label: Count
    sha256: str = ""
    rotated: bool = False
    offset: Count = 0
    height: Side = 0
    width: Side = 0
    crc32: Count = 0
    problem: str | None = None


class PackedIndex(BaseModel):
    """The content of a packed file, and where it came from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    flavour: str
    dtype: Literal["uint8", "float32"]
    source: str
    labels: str
    images: list[PackedImage]


def read_index(content: FileView, path: Path) -> PackedIndex:
    """The index of an open file. DataError where the file does not fit to its checksums and sizes."""
    damaged = f"{path}: the packed file is truncated or damaged"
    if len(content) < len(MAGIC) + TRAILER.size:
        raise DataError(f"{damaged}: {len(content)} bytes")
    offset, length, digest, magic = TRAILER.unpack(content[-TRAILER.size :])
    if magic != MAGIC or offset + length + TRAILER.size != len(content):
        raise DataError(f"{damaged}: it does not end as it should; pack again")
    text = bytes(content[offset : offset + length])
    if hashlib.sha256(text).digest() != digest:
        raise DataError(f"{damaged}: its index has another checksum; pack again")
    try:
        index = PackedIndex.model_validate_json(text)
    except ValidationError as error:
        raise DataError(f"{damaged}: {first_problem(error)}") from error
    _check_images(index, offset, damaged)
    return index


def _check_images(index: PackedIndex, end: int, damaged: str) -> None:
    """DataError unless every image has pixels, which end before byte `end`, or a problem."""
    itemsize = np.dtype(index.dtype).itemsize
    for image in index.images:
        if image.problem is None and (image.height < 1 or image.width < 1):
            raise DataError(
                f"{damaged}: {excerpt(image.name)} is {image.height} pixels high and {image.width} wide"
            )
        if image.offset + image.height * image.width * CHANNELS * itemsize > end:
            raise DataError(f"{damaged}: {excerpt(image.name)} reaches beyond the pixels")


class PackedColumns:
    """The images of an index as columns, and where their pixels lie.

    An index holds an object for each image; these are lists and arrays, however many images there are.
    """

    def __init__(self, index: PackedIndex) -> None:
        images = index.images
        self.flavour = index.flavour
        self.sha256 = [image.sha256 for image in images]
        self.rotated = [image.rotated for image in images]
        self.checksums = [image.crc32 for image in images]
        self.problems = {at: image.problem for at, image in enumerate(images) if image.problem is not None}
        self._dtype = np.dtype(index.dtype)
        # Up to 2^63, as the index has them: what it says lies in the file, which is smaller.
        self._sizes = np.array([(image.height, image.width) for image in images], np.int64).reshape(-1, 2)
        self._starts = np.array([image.offset for image in images], np.int64)
        self._ends = self._starts + self._sizes.prod(axis=1) * CHANNELS * self._dtype.itemsize
        self._has_pixels = np.ones(len(images), np.bool_)
        self._has_pixels[list(self.problems)] = False
        between = self._starts[1:] - self._ends[:-1]
        self._is_beside_last = np.zeros(len(images), np.bool_)
        self._is_beside_last[1:] = (between >= 0) & (between < ALIGNMENT)

    def extent(self, first: int, end: int) -> tuple[int, int]:
        """The bytes from the start of image `first` to the end of the last one before image `end`."""
        return int(self._starts[first]), int(self._ends[end - 1])

    def end_within(self, first: int, end: int, size: int) -> int:
        """The end of as many images from `first` up to `end` as lie within `size` bytes, at least one."""
        fit = int((self._ends[first:end] - self._starts[first] <= size).sum())
        return first + max(1, fit)

    def extents(self, first: int, end: int) -> Iterator[tuple[int, int]]:
        """The bytes of each of these images, counted from the start of the first."""
        start = self._starts[first]
        starts, ends = self._starts[first:end] - start, self._ends[first:end] - start
        return zip(starts.tolist(), ends.tolist(), strict=True)

    def are_side_by_side(self, first: int, end: int) -> bool:
        """Whether these images all have pixels, with no more than the alignment between one and the next."""
        return bool(self._has_pixels[first:end].all() and self._is_beside_last[first + 1 : end].all())

    def pixels(self, content: bytes | memoryview, index: int) -> NDArray[Any]:
        """An image as an array (height, width, 3). content: its bytes."""
        return np.frombuffer(content, self._dtype).reshape(*self._sizes[index].tolist(), CHANNELS)

    def pixels_together(self, content: memoryview, first: int, end: int) -> NDArray[Any] | list[NDArray[Any]]:
        """Images side by side: (images, height, width, 3), or a list of arrays if their sizes differ.

        content: the bytes of `extent`.
        """
        steps = np.diff(self._starts[first:end])
        if (self._sizes[first:end] == self._sizes[first]).all() and (steps == steps[:1]).all():
            shape = (*self._sizes[first].tolist(), CHANNELS)
            strides = [self._dtype.itemsize]
            for length in reversed(shape[1:]):
                strides.insert(0, strides[0] * length)
            step = int(steps[0]) if len(steps) else shape[0] * strides[0]
            return np.ndarray((end - first, *shape), self._dtype, content, strides=(step, *strides))
        return [
            self.pixels(content[start:stop], first + at)
            for at, (start, stop) in enumerate(self.extents(first, end))
        ]
