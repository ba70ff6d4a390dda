"""torch7-bicubic: fb.resnet.torch's validation images: image.load, Scale(S), ColorNormalize, CenterCrop.

Everything is float32, in Torch7's order of operations, and reproduces Torch7 to the last bit. `image.scale`
differs from today's libraries in two ways: its grid is corner-aligned, with Catmull-Rom taps and no
antialiasing, and neither the buffer between the two passes nor the result is rounded or clamped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from zoo.errors import DataError
from zoo.preprocessing.decode import EncodedImage
from zoo.preprocessing.flavour import Flavour, Float32, Pixels
from zoo.preprocessing.registry import register_flavour
from zoo.preprocessing.tensors import on_device

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch import Tensor

# Rows are scaled in blocks of this many numbers, so that a block and its results stay in the cache.
BLOCK_NUMBERS = 1 << 15


@register_flavour
class Torch7Bicubic(Flavour):
    """The shorter side scaled to `size` by Torch7's bicubic; RGB, pixels 0..1 (with over- and undershoot)."""

    family: ClassVar[str] = "torch7-bicubic"
    geometry: ClassVar[str] = "shorter side {size}"
    channels: ClassVar[Literal["BGR", "RGB"]] = "RGB"
    max_value: ClassVar[int] = 1
    normalisation_max_value: ClassVar[int] = 1
    takes_std: ClassVar[bool] = True
    is_square: ClassVar[bool] = False
    position: ClassVar[int] = 40

    def steps(self) -> dict[str, Any]:
        """Torch7's resize of the shorter side."""
        return {"resize": "torch7-bicubic", "to": "shorter side", "size": self.size}

    def decode(self, image: EncodedImage) -> Pixels:
        """Pixels as image.load has them, still as bytes (or 16-bit) and BGR.

        Raises:
            DataError: not decodable, or CMYK: Torch7 used the first three of the four ink channels as RGB,
                and no library here gives those channels.
        """
        if image.header.components == 4:
            raise DataError("a CMYK JPEG, of which Torch7 took the ink channels for RGB: convert it to RGB")
        return image.deep_bgr

    def scale(self, pixels: Pixels) -> Float32:
        """Stage 1 of a decoded image: (height, width, 3) float32, RGB, the shorter side `size` pixels.

        Raises:
            DataError: as in `resized`.
        """
        height, width = self.resized(pixels.shape[0], pixels.shape[1])
        return self._scale(pixels, height, width, slice(0, height), slice(0, width))

    def scale_window(self, pixels: Pixels, crop: int) -> Float32:
        """Only the window, in half the time: (crop, crop, 3) float32."""
        height, width = self.resized(pixels.shape[0], pixels.shape[1])
        return self._scale(pixels, height, width, *self.window(height, width, crop))

    def _scale(self, pixels: Pixels, height: int, width: int, rows: slice, columns: slice) -> Float32:
        import cv2
        import numpy as np

        # image.load multiplies by the rounded reciprocal; a division by 255 gives other last bits.
        unit = np.float32(1 / np.iinfo(pixels.dtype).max)
        # Columns first, turned into rows: whole rows are gathered much faster than single pixels.
        turned = scale_rows(np.asarray(cv2.transpose(pixels)), width, columns, unit)
        scaled = scale_rows(np.asarray(cv2.transpose(turned), np.float32), height, rows)
        return np.asarray(cv2.cvtColor(scaled, cv2.COLOR_BGR2RGB), np.float32)

    def scale_tensor(self, pixels: Pixels, device: torch.device) -> Tensor:
        """`scale` on a device: (height, width, 3) float32, RGB."""
        import numpy as np
        import torch

        height, width = self.resized(pixels.shape[0], pixels.shape[1])
        unit = float(np.float32(1 / np.iinfo(pixels.dtype).max))
        # PyTorch has next to no operations for uint16.
        image = on_device(pixels.astype(np.int32), device).flip(2).to(torch.float32) * unit
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


def scale_rows(source: Pixels, length: int, wanted: slice, unit: np.float32 | None = None) -> Float32:
    """One pass of `image.scale(..., "bicubic")` along the first axis of an array (rows, columns, channels).

    source: float32, or whole numbers which `unit` brings to 0..1 as they are gathered: as float32 a large
    photograph would take gigabytes.

    Returns the rows `wanted` of the `length` rows of the result. `x` and the polynomial are float32; the last
    product and sum are double, because of the literal 0.5 in the C code, and rounded once.
    """
    import numpy as np

    available = source.shape[0]
    if length == available:
        return _in_units(source[wanted], unit)
    if available == 1:
        # Torch7 leaves the last row unwritten here; this repeats the only source row instead.
        return np.repeat(_in_units(source, unit), length, axis=0)[wanted]
    index, fraction = axis_positions(available, length)
    # The last row has no position; it is copied.
    index, fraction = index[wanted], fraction[wanted]
    ends = _in_units(source[[0, 1, -2, -1]], unit)
    before_first, after_last = 2 * ends[0] - ends[1], 2 * ends[3] - ends[2]
    result = np.empty((wanted.stop - wanted.start, *source.shape[1:]), np.float32)
    if wanted.stop == length:
        result[-1] = ends[3]
    rows = max(1, BLOCK_NUMBERS // source[0].size)
    workspace = np.empty((6, rows, *source.shape[1:]), np.float32)
    doubles = np.empty(workspace.shape[1:])
    for start in range(0, len(index), rows):
        taps, x = index[start : start + rows], fraction[start : start + rows, None, None]
        buffers = workspace[:, : len(taps)]
        for tap in range(4):
            at = taps + (tap - 1)
            if unit is None:
                source.take(at, 0, buffers[tap], "clip")
            else:
                np.multiply(source.take(at, 0, mode="clip"), unit, out=buffers[tap])
            buffers[tap][at < 0] = before_first
            buffers[tap][at >= available] = after_last
        result[start : start + len(taps)] = _catmull_rom(buffers, x, doubles[: len(taps)])
    return result


def _in_units(rows: Pixels, unit: np.float32 | None) -> Float32:
    """The numbers as float32, times `unit`; float32 numbers have none."""
    import numpy as np

    if unit is None:
        return rows
    return np.multiply(rows, unit, dtype=np.float32)


def _catmull_rom(buffers: Float32, x: Float32, out: NDArray[np.float64]) -> NDArray[np.float64]:
    """Interpolate between the second and the third of four taps, at distance `x` from the second.

    buffers: (6, rows, ...): the four taps and room for two results; overwritten. Returns `out`.
    """
    import numpy as np

    before, first, second, after, curve, cubic = buffers
    # curve = 2 * before - 5 * first + 4 * second - after
    np.multiply(2, before, curve)
    curve -= np.multiply(5, first, cubic)
    curve += np.multiply(4, second, cubic)
    curve -= after
    # cubic = 3 * (first - second) + after - before
    np.subtract(first, second, cubic)
    cubic *= 3
    cubic += after
    cubic -= before
    # first + (0.5 * x) * (second - before + x * (curve + x * cubic))
    cubic *= x
    cubic += curve
    cubic *= x
    cubic += np.subtract(second, before, second)
    np.multiply(0.5 * x.astype(np.float64), cubic, out)
    out += first
    return out


def axis_positions(available: int, length: int) -> tuple[NDArray[np.int64], Float32]:
    """For each target position but the last: the tap before it, and its distance from that tap, 0..1."""
    import numpy as np

    ratio = np.float32(available - 1) / np.float32(max(length - 1, 1))
    position = np.arange(length - 1).astype(np.float32) * ratio
    index = position.astype(np.int64)
    return index, position - index.astype(np.float32)


def scale_axis(source: Tensor, length: int, axis: int) -> Tensor:
    """`scale_rows` for tensors, along any axis and whole: the same operations in the same order."""
    import torch

    available = source.shape[axis]
    if length == available:
        return source
    if available == 1:
        return source.repeat_interleave(length, axis)
    index, fraction = axis_positions(available, length)
    taps = on_device(index, source.device)
    x = on_device(fraction, source.device).reshape([-1 if d == axis else 1 for d in range(source.ndim)])
    first, second = source.narrow(axis, 0, 1), source.narrow(axis, 1, 1)
    before_last, last = source.narrow(axis, available - 2, 1), source.narrow(axis, available - 1, 1)
    extended = torch.cat([2 * first - second, source, 2 * last - before_last], axis)
    p0, p1, p2, p3 = (extended.index_select(axis, taps + tap) for tap in range(4))
    slope = p2 - p0
    curve = 2 * p0 - 5 * p1 + 4 * p2 - p3
    cubic = 3 * (p1 - p2) + p3 - p0
    body = p1 + (0.5 * x.to(torch.float64)) * (slope + x * (curve + x * cubic))
    return torch.cat([body.to(torch.float32), last], axis)
