"""Decodes image files to the same pixels as the original tools.

Caffe's tools read images with OpenCV, Torch7's with libjpeg and libpng; OpenCV's decoder gives the same
bytes as libjpeg's defaults (slow integer DCT, fancy upsampling), so one decoder serves both. Neither tool
rotated images by their EXIF orientation, so it is ignored here too; results count such images.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zoo.errors import DataError, excerpt
from zoo.preprocessing.image_header import (
    BMP_START,
    JPEG_START,
    PNG_START,
    ImageHeader,
    check_image,
    check_pixels,
    image_header,
)

# What Pillow may open (JPEG includes MPO); its plugin of EPS would start another program.
PILLOW_FORMATS = ("JPEG", "PNG", "BMP", "DIB", "GIF", "TIFF", "WEBP", "PPM")

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class EncodedImage:
    """The bytes of an image file, decoded at most once by each decoder.

    Raises (all decoders):
        DataError: the image is truncated, damaged, far too large, or not an image.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.header = image_header(data)
        self._decoded: dict[str, NDArray[Any]] = {}

    @property
    def bgr(self) -> NDArray[np.uint8]:
        """As OpenCV reads it in colour: (height, width, 3), BGR."""
        return self._once("bgr", lambda: decode_bgr(self.data, self.header))

    @property
    def deep_bgr(self) -> NDArray[Any]:
        """As `bgr`, but 16-bit files as uint16; `bgr` drops their low byte."""
        return (
            self.bgr
            if self.header.bits == 8
            else self._once("deep", lambda: decode_deep_bgr(self.data, self.header))
        )

    @property
    def pillow_rgb(self) -> NDArray[np.uint8]:
        """As `PIL.Image.open(file).convert("RGB")` reads it: (height, width, 3), RGB."""
        return self._once("pillow", lambda: decode_pillow(self.data))

    # Not functools.cached_property: before Python 3.12 all images would share its lock, and threads wait.
    def _once(self, name: str, decode: Callable[[], NDArray[Any]]) -> NDArray[Any]:
        if name not in self._decoded:
            check_image(self.data, self.header)
            self._decoded[name] = decode()
        return self._decoded[name]


def decode_bgr(data: bytes, header: ImageHeader | None = None) -> NDArray[np.uint8]:
    """The pixels of an encoded image as OpenCV reads them: (height, width, 3), BGR, uint8.

    Grey images get three equal channels, alpha is dropped, CMYK is converted, EXIF orientation ignored.
    DataError if the bytes cannot be decoded. Other formats than JPEG, PNG and BMP are errors too, even those
    that OpenCV reads, because their size is not checked here: 35 bytes of GIF may take gigabytes.

    header: that of the bytes, where it is known.
    """
    return _decode(data, header or image_header(data), deep=False)


def decode_deep_bgr(data: bytes, header: ImageHeader | None = None) -> NDArray[Any]:
    """As `decode_bgr`, but 16-bit files stay uint16."""
    return _decode(data, header or image_header(data), deep=True)


def _decode(data: bytes, header: ImageHeader, *, deep: bool) -> NDArray[Any]:
    import cv2
    import numpy as np

    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION | (cv2.IMREAD_ANYDEPTH if deep else 0)
    try:
        known = data.startswith((JPEG_START, PNG_START, BMP_START)) and header.width * header.height > 0
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags) if known else None
    except cv2.error as error:
        raise DataError(f"cannot decode {describe(data)}: {excerpt(error.err)}") from error
    if pixels is None:
        raise DataError(f"cannot decode {describe(data)}: expected a complete JPEG, PNG or BMP image")
    return pixels


def decode_pillow(data: bytes) -> NDArray[np.uint8]:
    """The pixels as Pillow converts them to RGB: (height, width, 3) uint8, EXIF orientation ignored.

    Palettes are looked up, alpha is dropped, CMYK is converted by Pillow's own rule. DataError if Pillow does
    not take the bytes (unlike OpenCV it takes no file that ends early), or if the image is far too large.
    """
    import numpy as np
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data), formats=PILLOW_FORMATS) as image:
            check_pixels(*image.size, len(data))
            if 0 in image.size:
                raise DataError("an image without pixels")
            return np.asarray(image.convert("RGB"))
    except DataError:
        raise
    except Exception as error:  # its plugins raise many types: OSError, SyntaxError, struct.error, ...
        raise DataError(f"Pillow cannot decode {describe(data)}: {excerpt(error)}") from error


def describe(data: bytes) -> str:
    """Bytes that are not a readable image, in a few words for messages."""
    if not data:
        return "an empty file"
    if data.startswith(JPEG_START):
        return f"a truncated or damaged JPEG of {len(data)} bytes"
    if data.startswith(PNG_START[:8]):
        return f"a truncated or damaged PNG of {len(data)} bytes"
    return f"{len(data)} bytes that begin with {data[:8]!r}"


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


@dataclass(frozen=True, slots=True)
class DecodedImages:
    """Several images that their source holds as pixels, packed by one flavour; see `DecodedImage`.

    `pixels` is one array (images, height, width, channels) if all have one size, or else a list of arrays
    (height, width, channels).
    """

    pixels: NDArray[Any] | list[NDArray[Any]]
    sha256: Sequence[str]
    flavour: str
    rotated: Sequence[bool]


# The content of one image: the bytes of an image file, or pixels.
Content = bytes | DecodedImage
