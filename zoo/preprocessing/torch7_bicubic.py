"""torch7-bicubic: fb.resnet.torch's validation images: image.load, Scale(S), ColorNormalize, CenterCrop.

Everything is float32, in Torch7's order of operations, and reproduces Torch7 to the last bit. Two habits of
`image.scale` set it apart from every library of today: the grid is corner-aligned with Catmull-Rom taps and
no antialiasing, and neither the buffer between the two passes nor the result is rounded or clamped.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from zoo.errors import DataError
from zoo.preprocessing.decode import Picture
from zoo.preprocessing.flavour import Flavour, Float32, Pixels


class Torch7Bicubic(Flavour):
    """The shorter side scaled to `size` by Torch7's bicubic; RGB, pixels 0..1 (with over- and undershoot)."""

    family: ClassVar[str] = "torch7-bicubic"
    channels: ClassVar[Literal["BGR", "RGB"]] = "RGB"
    white: ClassVar[int] = 1
    numbers_white: ClassVar[int] = 1
    takes_std: ClassVar[bool] = True
    is_square: ClassVar[bool] = False

    def decode(self, picture: Picture) -> Pixels:
        """Pixels as image.load has them, still as bytes (or 16-bit) and BGR.

        Raises:
            DataError: not decodable, or CMYK, which Torch7 read with false colours (it took the first three
                of the four ink channels for RGB); no library here gives those channels.
        """
        if picture.header.components == 4:
            raise DataError("a CMYK JPEG, of which Torch7 took the ink channels for RGB: convert it to RGB")
        return picture.deep_bgr

    def scale(self, pixels: Pixels) -> Float32:
        """Stage 1 of a decoded image: (height, width, 3) float32, RGB, the shorter side `size` pixels.

        Raises:
            DataError: as in `resized`.
        """
        # image.load multiplies by the rounded reciprocal; a division by 255 gives other last bits.
        unit = np.float32(1 / np.iinfo(pixels.dtype).max)
        image: Float32 = pixels[:, :, ::-1].astype(np.float32) * unit
        height, width = self.resized(image.shape[0], image.shape[1])
        return scale_axis(scale_axis(image, width, axis=1), height, axis=0)

    def resized(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) as `Scale` computes them."""
        return self.check_scaled(*scaled_size(height, width, self.size))

    def offset(self, length: int, crop: int) -> int:
        """CenterCrop: ceil((length - crop) / 2); an odd surplus moves the window right and down."""
        return -((crop - length) // 2)


def scaled_size(height: int, width: int, size: int) -> tuple[int, int]:
    """`Scale(size)`: (height, width) with the shorter side `size`, the other truncated, in Lua's doubles."""
    if (width <= height and width == size) or (height <= width and height == size):
        return height, width
    if width < height:
        return int(height / width * size), size
    return size, int(width / height * size)


def scale_axis(source: Float32, length: int, axis: int) -> Float32:
    """One pass of `image.scale(..., "bicubic")` along `axis` of a (height, width, channels) array.

    `x` and the polynomial are float32; the last product and sum are double, as the C code's literal 0.5
    makes them, and rounded once.
    """
    available = source.shape[axis]
    if length == available:
        return source
    if available == 1:
        # Torch7 leaves the last sample unwritten here; the only sample there is stands in for it.
        return np.repeat(source, length, axis=axis)
    index, fraction = axis_positions(available, length)
    x = np.expand_dims(fraction, [d for d in range(source.ndim) if d != axis])

    extended = _extended(source, axis)
    before, first, second, after = (extended.take(index + tap, axis) for tap in range(4))
    slope = second - before
    curve = 2 * before - 5 * first + 4 * second - after
    cubic = 3 * (first - second) + after - before
    body = first + (0.5 * x.astype(np.float64)) * (slope + x * (curve + x * cubic))
    return np.concatenate([body.astype(np.float32), source.take([available - 1], axis)], axis)


def axis_positions(available: int, length: int) -> tuple[NDArray[np.int64], Float32]:
    """The tap before each target sample but the last one, and how far behind it the sample lies, 0..1."""
    ratio = np.float32(available - 1) / np.float32(max(length - 1, 1))
    position = np.arange(length - 1).astype(np.float32) * ratio
    index = position.astype(np.int64)
    return index, position - index.astype(np.float32)


def _extended(source: Float32, axis: int) -> Float32:
    """`source` with one more sample at either end, on the line through the last two."""
    first, second, before_last, last = (source.take([at], axis) for at in (0, 1, -2, -1))
    return np.concatenate([2 * first - second, source, 2 * last - before_last], axis)
