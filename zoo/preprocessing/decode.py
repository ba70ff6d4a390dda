"""Decodes image files to the same pixels as the original tools.

Caffe's tools read images with OpenCV, Torch7's with libjpeg and libpng; OpenCV's decoder gives the same
bytes as libjpeg's defaults (slow integer DCT, fancy upsampling), so one decoder serves both. Neither tool
rotated images by their EXIF orientation, so it is ignored here too; results count such images.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from zoo.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SOI, EOI, SOS, APP1 = 0xD8, 0xD9, 0xDA, 0xE1
# Start-of-frame markers: all of C0..CF but DHT (C4), JPG (C8) and DAC (CC).
FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
STANDALONE = frozenset({0x01, *range(0xD0, 0xD9)})
ORIENTATION_TAG = 0x0112
PNG_START = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
JPEG_START, BMP_START = bytes((0xFF, SOI)), b"BM"
# A BMP with the header of Windows 3 or later: width and height are signed; negative where rows go down.
BMP_SIZE, BMP_HEADER_BYTES = struct.Struct("<14x I ii"), 40
# Ten times the largest ImageNet photograph; a larger image is an attack or a mistake.
MOST_PIXELS = 1 << 27


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """The header of an image file; zeros for what it lacks, and for formats that are not read.

    `components` is the number of components per pixel of a JPEG (4: CMYK), `bits` that of bits per component;
    `orientation` is EXIF's, where 1 is upright.
    """

    width: int = 0
    height: int = 0
    components: int = 0
    bits: int = 0
    orientation: int = 1

    @property
    def rotated(self) -> bool:
        """True if a viewer that uses EXIF would rotate or mirror the image."""
        return 2 <= self.orientation <= 8


class EncodedImage:
    """The bytes of an image file, decoded at most once by each decoder.

    Raises (all decoders):
        DataError: the image is truncated, damaged, far too large, or not an image.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.header = image_header(data)
        self._decoded: dict[Callable[[bytes], NDArray[Any]], NDArray[Any]] = {}

    @property
    def bgr(self) -> NDArray[np.uint8]:
        """As OpenCV reads it in colour: (height, width, 3), BGR."""
        return self._once(decode_bgr)

    @property
    def deep_bgr(self) -> NDArray[Any]:
        """As `bgr`, but 16-bit files as uint16; `bgr` drops their low byte."""
        return self.bgr if self.header.bits == 8 else self._once(decode_deep_bgr)

    @property
    def pillow_rgb(self) -> NDArray[np.uint8]:
        """As `PIL.Image.open(file).convert("RGB")` reads it: (height, width, 3), RGB."""
        return self._once(decode_pillow)

    # Not functools.cached_property: before Python 3.12 all images would share its lock, and threads wait.
    def _once(self, decode: Callable[[bytes], NDArray[Any]]) -> NDArray[Any]:
        if self.header.width * self.header.height > MOST_PIXELS:
            raise DataError(
                f"an image of {self.header.width}x{self.header.height} pixels; at most {MOST_PIXELS} are read"
            )
        if decode not in self._decoded:
            self._decoded[decode] = decode(self.data)
        return self._decoded[decode]


def decode_bgr(data: bytes) -> NDArray[np.uint8]:
    """The pixels of an encoded image as OpenCV reads them: (height, width, 3), BGR, uint8.

    Grey images get three equal channels, alpha is dropped, CMYK is converted, EXIF orientation ignored.
    DataError if the bytes cannot be decoded. Other formats than JPEG, PNG and BMP are errors too, even those
    that OpenCV reads, because their size is not checked here: 35 bytes of GIF may take gigabytes.
    """
    import numpy as np

    return np.asarray(_decode(data, deep=False), np.uint8)


def decode_deep_bgr(data: bytes) -> NDArray[Any]:
    """As `decode_bgr`, but 16-bit files stay uint16."""
    return _decode(data, deep=True)


def _decode(data: bytes, *, deep: bool) -> NDArray[Any]:
    import cv2
    import numpy as np

    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION | (cv2.IMREAD_ANYDEPTH if deep else 0)
    try:
        known = data.startswith((JPEG_START, PNG_START, BMP_START))
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags) if known else None
    except cv2.error as error:
        raise DataError(f"cannot decode {describe(data)}: {error.err}") from error
    if pixels is None:
        raise DataError(f"cannot decode {describe(data)}: expected a complete JPEG, PNG or BMP image")
    return pixels


def decode_pillow(data: bytes) -> NDArray[np.uint8]:
    """The pixels as Pillow converts them to RGB: (height, width, 3) uint8, EXIF orientation ignored.

    Palettes are looked up, alpha is dropped, CMYK is converted by Pillow's own rule. DataError if Pillow does
    not take the bytes; unlike OpenCV it takes no file that ends early.
    """
    import numpy as np
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data)) as image:
            return np.asarray(image.convert("RGB"))
    except Exception as error:  # its plugins raise many types: OSError, SyntaxError, struct.error, ...
        raise DataError(f"Pillow cannot decode {describe(data)}: {error}") from error


def describe(data: bytes) -> str:
    """Bytes that are not a readable image, in a few words for messages."""
    if not data:
        return "an empty file"
    if data.startswith(JPEG_START):
        return f"a truncated or damaged JPEG of {len(data)} bytes"
    if data.startswith(PNG_START[:8]):
        return f"a truncated or damaged PNG of {len(data)} bytes"
    return f"{len(data)} bytes that begin with {data[:8]!r}"


def image_header(data: bytes) -> ImageHeader:
    """The header of a JPEG (ITU-T T.81, annex B; Exif 2.3, section 4.6), PNG or BMP; never an error."""
    if data.startswith(PNG_START) and len(data) >= len(PNG_START) + 8:
        width, height = struct.unpack_from(">II", data, len(PNG_START))
        return ImageHeader(
            width, height, bits=data[len(PNG_START) + 8] if len(data) > len(PNG_START) + 8 else 0
        )
    if data.startswith(BMP_START) and len(data) >= BMP_SIZE.size:
        length, width, height = BMP_SIZE.unpack_from(data)
        return ImageHeader(abs(width), abs(height)) if length >= BMP_HEADER_BYTES else ImageHeader()
    header = ImageHeader()
    for marker, segment in _jpeg_segments(data):
        if marker in FRAMES and len(segment) >= 6:
            bits, height, width, components = struct.unpack_from(">BHHB", segment)
            header = replace(header, width=width, height=height, components=components, bits=bits)
        elif marker == APP1 and segment.startswith(b"Exif\0\0"):
            header = replace(header, orientation=_orientation(segment[6:]))
    return header


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Marker and payload of every segment before the first scan, up to the first damage."""
    position = 2
    while data.startswith(JPEG_START) and position + 4 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker == 0xFF or marker in STANDALONE:
            position += 1 if marker == 0xFF else 2
            continue
        if marker in (SOS, EOI):
            return
        length = int.from_bytes(data[position + 2 : position + 4], "big")
        yield marker, data[position + 4 : position + 2 + length]
        position += 2 + length


def _orientation(tiff: bytes) -> int:
    """The orientation entry of a TIFF structure's first directory; 1 if absent or damaged."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return 1
    try:
        (directory,) = struct.unpack_from(f"{order}I", tiff, 4)
        (entries,) = struct.unpack_from(f"{order}H", tiff, directory)
        for entry in range(entries):
            tag, kind, _, value = struct.unpack_from(f"{order}HHIH", tiff, directory + 2 + 12 * entry)
            if (tag, kind) == (ORIENTATION_TAG, 3):
                return int(value)
    except struct.error:
        return 1
    return 1


@dataclass(frozen=True, slots=True)
class DecodedImage:
    """An image that its source holds as pixels: (height, width, channels); three channels are BGR.

    `sha256` is that of the source's bytes. `flavour` names the flavour whose first stage gave the pixels;
    None: they are only decoded. `rotated` says that an EXIF orientation was ignored.
    """

    pixels: NDArray[Any]
    sha256: str
    flavour: str | None = None
    rotated: bool = False


# The content of one image: the bytes of an image file, or pixels.
Content = bytes | DecodedImage
