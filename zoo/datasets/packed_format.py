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
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
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
