"""What an image file says of itself before it is decoded, and whether it can be true.

A decoder allocates what the header asks for. So the size is read here first, for every format that OpenCV is
given: JPEG (ITU-T T.81, annex B; Exif 2.3, section 4.6), PNG (ISO/IEC 15948) and BMP. The walk over the
markers of a JPEG is that of libjpeg, which steps over bytes that belong to no segment.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from zoo.errors import DataError

MARKER = 0xFF
SOI, EOI, SOS, APP1 = 0xD8, 0xD9, 0xDA, 0xE1
# Start-of-frame markers: all of C0..CF but DHT (C4), JPG (C8) and DAC (CC).
FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
STANDALONE = frozenset({0x01, *range(0xD0, 0xD9)})
ORIENTATION_TAG = 0x0112
PNG_START = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
JPEG_START, BMP_START = bytes((0xFF, SOI)), b"BM"
# What ends the data of a scan: a marker that is neither a stuffed zero nor a restart.
AFTER_SCAN = re.compile(rb"\xff+[^\x00\xff\xd0-\xd7]")
# BMP: the length of its second header; then width and height, which is negative where rows go down, and the
# bits of a pixel. OS/2's first version has them in 16 bits, every other in 32.
BMP_LENGTH, BMP_SIZE, BMP_CORE_SIZE = (
    struct.Struct("<I"),
    struct.Struct("<ii 2x H I"),
    struct.Struct("<HH 2x H"),
)
BMP_AT, BMP_CORE_BYTES, BMP_LEAST_BYTES = 14, 12, 36
BMP_UNCOMPRESSED = frozenset({0, 3})
# Samples of a pixel by the colour type of a PNG.
PNG_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
# Ten times the largest ImageNet photograph; a larger image is an attack or a mistake.
MOST_PIXELS = 1 << 27
# A smaller file of so many pixels would take memory and time out of proportion: a photograph of 16 million
# pixels has a megabyte and more. (4096 x 3072.)
PIXELS_OF_ANY_FILE, PIXELS_OF_A_BYTE = 12 << 20, 16
# As long as a JPEG can be. Pillow allocates something for every row.
MOST_SIDE = 1 << 16
# Every scan of a progressive JPEG goes over all pixels again. Encoders write some ten.
MOST_SCANS, MOST_SCANNED_PIXELS = 100, 1 << 28
# The two bytes that begin a scan, as a little-endian number.
SCAN_PAIR = SOS << 8 | MARKER
# The least bytes that pixels can take: deflate makes 1032 bytes of one; a block of 8 x 8 pixels takes a bit.
DEFLATE_RATIO, BLOCKS_OF_A_BYTE, BLOCK_PIXELS = 1032, 8, 64


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


def image_header(data: bytes) -> ImageHeader:
    """The header of a JPEG, PNG or BMP; never an error."""
    if data.startswith(PNG_START) and len(data) >= len(PNG_START) + 8:
        width, height = struct.unpack_from(">II", data, len(PNG_START))
        return ImageHeader(
            width, height, bits=data[len(PNG_START) + 8] if len(data) > len(PNG_START) + 8 else 0
        )
    if data.startswith(BMP_START):
        width, height, _, _ = _bmp(data)
        return ImageHeader(abs(width), abs(height))
    width = height = components = bits = 0
    orientation = 1
    for marker, _, segment in _jpeg_segments(data):
        if marker in FRAMES and len(segment) >= 6 and not bits:
            bits, height, width, components = struct.unpack_from(">BHHB", segment)
        elif marker == APP1 and segment.startswith(b"Exif\0\0"):
            orientation = _orientation(segment[6:])
        elif marker == SOS:
            break
    return ImageHeader(width, height, components, bits, orientation)


def check_image(data: bytes, header: ImageHeader) -> None:
    """DataError for an image that is too large, or whose bytes cannot hold the pixels that it claims."""
    width, height = header.width, header.height
    check_pixels(width, height, len(data))
    if data.startswith(PNG_START):
        _check_png(data, header)
    elif data.startswith(JPEG_START):
        if width * height > BLOCK_PIXELS * BLOCKS_OF_A_BYTE * len(data):
            raise _claims(header, len(data))
        scans = _most_scans(data)
        if scans > MOST_SCANS or scans * width * height > MOST_SCANNED_PIXELS:
            scans = sum(marker == SOS for marker, _, _ in _jpeg_segments(data))
        if scans > MOST_SCANS or scans * width * height > MOST_SCANNED_PIXELS:
            raise DataError(
                f"a JPEG of {width}x{height} pixels in {scans} scans: far more than encoders write"
            )
    elif data.startswith(BMP_START):
        *_, bits, compression = _bmp(data)
        if compression in BMP_UNCOMPRESSED and -(-width * bits // 8) * height > len(data):
            raise _claims(header, len(data))


def _most_scans(data: bytes) -> int:
    """At least as many scans as a JPEG has: how often the two bytes occur that begin one.

    They may also be something else; but to find each segment takes half as long as to decode the image.
    """
    import numpy as np

    # Two bytes at a time, from the first on and from the second on: a third of the time of single bytes.
    return sum(
        int(np.count_nonzero(np.frombuffer(data, "<u2", (len(data) - start) // 2, start) == SCAN_PAIR))
        for start in (0, 1)
        if len(data) > start + 1
    )


def check_pixels(width: int, height: int, size: int) -> None:
    """DataError if an image file of `size` bytes has too many pixels."""
    most = min(MOST_PIXELS, max(PIXELS_OF_ANY_FILE, PIXELS_OF_A_BYTE * size))
    if width * height > most or max(width, height) > MOST_SIDE:
        raise DataError(
            f"an image of {width}x{height} pixels in {size:,} bytes; of such a file at most {most} are read, "
            f"and {MOST_SIDE} in a row"
        )


def _claims(header: ImageHeader, size: int) -> DataError:
    return DataError(
        f"claims {header.width}x{header.height} pixels, which its {size:,} bytes cannot hold: "
        "truncated, damaged or made to do harm"
    )


def _check_png(data: bytes, header: ImageHeader) -> None:
    position, held, kind = 8, 0, b""
    while position + 8 <= len(data) and kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", data, position)
        if length > len(data) - position:
            raise DataError(
                f"truncated or damaged PNG: a chunk claims {length:,} bytes, {len(data) - position:,} remain"
            )
        held += length if kind == b"IDAT" else 0
        position += length + 12
    samples = PNG_SAMPLES.get(data[len(PNG_START) + 9] if len(data) > len(PNG_START) + 9 else 0, 1)
    row = -(-header.width * header.bits * samples // 8)
    if row * header.height > DEFLATE_RATIO * (held + 1):
        raise _claims(header, len(data))


def _bmp(data: bytes) -> tuple[int, int, int, int]:
    """Width, height, bits of a pixel and compression, as OpenCV reads them; zeros if there is no header."""
    if len(data) < BMP_AT + 4:
        return 0, 0, 0, 0
    (length,) = BMP_LENGTH.unpack_from(data, BMP_AT)
    at = BMP_AT + BMP_LENGTH.size
    if length == BMP_CORE_BYTES and len(data) >= at + BMP_CORE_SIZE.size:
        return (*BMP_CORE_SIZE.unpack_from(data, at), 0)
    if length < BMP_LEAST_BYTES or len(data) < at + BMP_SIZE.size:
        return 0, 0, 0, 0
    width, height, bits, compression = BMP_SIZE.unpack_from(data, at)
    return width, height, bits, compression


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Marker, offset and payload of every segment up to the end mark or the first damage."""
    position = 2 if data.startswith(JPEG_START) else len(data)
    while (position := data.find(b"\xff", position)) >= 0 and position + 4 <= len(data):
        marker = data[position + 1]
        if marker in (0x00, 0xFF) or marker in STANDALONE:
            position += 1 if marker == 0xFF else 2
            continue
        if marker == EOI:
            return
        length = int.from_bytes(data[position + 2 : position + 4], "big")
        if length < 2:
            return
        yield marker, position, data[position + 4 : position + 2 + length]
        position += 2 + length
        if marker == SOS:
            after = AFTER_SCAN.search(data, position)
            position = len(data) if after is None else after.end() - 2


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
