"""Stage 2 in numbers, and on the host: from pixels to planes of normalised numbers.

A byte has 256 values, so what becomes of each is computed once and then looked up: one step instead of one
for each operation, with the same bits, as the tables are computed by those operations.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Float32 = NDArray[np.float32]
    Pixels = NDArray[Any]
else:
    # numpy is loaded by the functions that compute, so that manifests can be checked without it.
    Float32 = Pixels = Any

VALUES_OF_A_BYTE = 256
# Of an image. OpenCV's own limit depends on its version, and beyond it an array is something else to it.
MOST_CHANNELS = 4


def _one() -> np.float32:
    import numpy as np

    return np.float32(1)


@dataclass(frozen=True, slots=True)
class Normalisation:
    """Stage 2 in numbers, all float32: ((pixel * multiplier / divisor) - mean) * scale / std.

    `mean` and `std` are (channels, 1, 1). `mean` may also be an image with the size of the window or of the
    whole resized image, from which the same window is cut. With `swap_channels` the channels are reversed
    first. `multiplier` and `divisor` change the range of the flavour's pixels to the range of the mean.
    """

    crop: int
    mean: Float32 | None = None
    std: Float32 | None = None
    scale: np.float32 = field(default_factory=_one)
    swap_channels: bool = False
    multiplier: np.float32 = field(default_factory=_one)
    divisor: np.float32 = field(default_factory=_one)


def normalise_planes(
    pixels: Pixels, planes: Float32, normalisation: Normalisation, mean: Float32 | None
) -> None:
    """Fill planes (..., channels, height, width) with pixels (..., height, width, channels), normalised.

    The steps and their order are those of `Normalisation`, float32 at every step.

    mean: what of `normalisation.mean` belongs to these pixels: (channels, 1, 1), or an image of their size.
    """
    import numpy as np

    channels = pixels.shape[-1]
    fit = 0 < channels <= MOST_CHANNELS and planes.flags.c_contiguous and pixels.size
    if not fit or pixels.dtype != np.uint8:
        planes[...] = np.moveaxis(pixels[..., ::-1] if normalisation.swap_channels else pixels, -1, -3)
        _normalise(planes, normalisation, mean)
    elif mean is not None and mean.shape[1:] != (1, 1):
        _fill_from_bytes(pixels, planes, normalisation.swap_channels, None)
        _normalise(planes, normalisation, mean)
    else:
        _fill_from_bytes(pixels, planes, normalisation.swap_channels, _tables(channels, normalisation, mean))


def _normalise(planes: Float32, normalisation: Normalisation, mean: Float32 | None) -> None:
    """The arithmetic of `Normalisation`, in place."""
    if normalisation.multiplier != 1:
        planes *= normalisation.multiplier
    if normalisation.divisor != 1:
        planes /= normalisation.divisor
    if mean is not None:
        planes -= mean
    if normalisation.scale != 1:
        planes *= normalisation.scale
    if normalisation.std is not None:
        planes /= normalisation.std


def _tables(channels: int, normalisation: Normalisation, mean: Float32 | None) -> Float32 | None:
    """For each channel the number that each byte becomes: (channels, 1, 256). None if that is the byte."""
    import numpy as np

    values = np.empty((channels, 1, VALUES_OF_A_BYTE), np.float32)
    values[...] = numbers = np.arange(VALUES_OF_A_BYTE, dtype=np.float32)
    _normalise(values, normalisation, mean)
    return None if (values == numbers).all() else values


def _fill_from_bytes(pixels: Pixels, planes: Float32, reverse: bool, tables: Float32 | None) -> None:
    """Fill contiguous planes with the bytes, or with what the tables say of them.

    reverse: the last channel first.
    """
    import cv2
    import numpy as np

    *_, channels, height, width = planes.shape
    rows = np.ascontiguousarray(pixels).reshape(-1, width, channels)
    # OpenCV takes bytes apart in a fraction of numpy's time; arrays of its own it would copy once more.
    parts = np.empty((channels, *rows.shape[:2]), np.uint8)
    split = cv2.split(rows, list(parts))
    # A row for each plane of each image.
    places = planes.reshape(-1, channels, height * width)
    for place, part in enumerate(reversed(split) if reverse else split):
        if tables is None:
            places[:, place] = part.reshape(-1, height * width)
        else:
            cv2.LUT(part.reshape(-1, height * width), tables[place], places[:, place])
