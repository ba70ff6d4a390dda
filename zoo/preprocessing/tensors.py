"""The flavours as tensor operations, for images that are decoded already: the same numbers on any device.

`scale` is a flavour's stage 1 without the decoding, `windows` and `normalise` are stage 2 for a whole batch.
The flavours that work in integers (Caffe's and Pillow's) give the same bytes as on the host by construction:
integer sums do not depend on their order. The float ones repeat the host's operations one by one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from zoo.errors import UsageError
from zoo.preprocessing.caffe import CaffeShort, CaffeStored, CaffeWarp
from zoo.preprocessing.flavour import Flavour, Normalisation, Pixels
from zoo.preprocessing.pil_bicubic_short import PilBicubicShort
from zoo.preprocessing.torch7_bicubic import Torch7Bicubic, axis_positions

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Int32 = NDArray[np.int32]
# OpenCV's INTER_RESIZE_COEF_BITS and Pillow's PRECISION_BITS for bytes.
OPENCV_BITS, PILLOW_BITS = 11, 22
# Pillow's BICUBIC: Catmull-Rom, two pixels of the coarser grid to either side.
PILLOW_A, PILLOW_SUPPORT = -0.5, 2.0


def scale(flavour: Flavour, pixels: Pixels, device: torch.device) -> Tensor:
    """What `flavour.scale` makes of decoded pixels (height, width, channels), on `device`.

    Raises:
        DataError: as on the host.
        UsageError: the flavour has no tensor form.
    """
    import torch

    height, width = flavour.resized(pixels.shape[0], pixels.shape[1])
    if isinstance(flavour, CaffeStored):
        return _on(device, pixels)
    if isinstance(flavour, CaffeWarp):
        return opencv_linear(_on(device, pixels), height, width)
    if isinstance(flavour, CaffeShort):
        top, left = (height - flavour.size) // 2, (width - flavour.size) // 2
        resized = opencv_linear(_on(device, pixels), height, width)
        return resized[top : top + flavour.size, left : left + flavour.size]
    if isinstance(flavour, PilBicubicShort):
        return pillow_bicubic(_on(device, pixels), height, width)
    if isinstance(flavour, Torch7Bicubic):
        unit = float(np.float32(1 / np.iinfo(pixels.dtype).max))
        # PyTorch has next to nothing for uint16.
        image = _on(device, pixels.astype(np.int32)).flip(2).to(torch.float32) * unit
        return torch7_axis(torch7_axis(image, width, axis=1), height, axis=0)
    raise UsageError(f"{flavour.name} has no tensor form; prepare the images on the host")


def normalise(windows: Tensor, numbers: Normalisation) -> Tensor:
    """(images, crop, crop, channels) of any kind to the net's input (images, channels, crop, crop) float32.

    Every step as `Flavour.finish` does it; a mean image must have the size of the window.
    """
    import torch

    if numbers.swap_channels:
        windows = windows.flip(3)
    batch = windows.permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.contiguous_format)
    if numbers.multiplier != 1:
        batch *= float(numbers.multiplier)
    if numbers.divisor != 1:
        batch /= torch.tensor(numbers.divisor, device=batch.device)
    if numbers.mean is not None:
        batch -= _on(batch.device, numbers.mean)
    if numbers.scale != 1:
        batch *= float(numbers.scale)
    if numbers.std is not None:
        batch /= _on(batch.device, numbers.std)
    return batch


def opencv_linear(pixels: Tensor, height: int, width: int) -> Tensor:
    """cv2's INTER_LINEAR of bytes (H, W, channels) uint8, in integers: (height, width, channels) uint8.

    Columns clamp the coefficient at the edges, rows clamp only the index. A reduction by exactly two along
    both axes is the rounded mean of 2x2 pixels instead.
    """
    import torch

    source = pixels.to(torch.int32)
    if tuple(pixels.shape[:2]) == (2 * height, 2 * width):
        quads = source.reshape(height, 2, width, 2, -1).sum((1, 3), dtype=torch.int32)
        return ((quads + 2) >> 2).to(torch.uint8)
    start, near, far = (_on(pixels.device, part) for part in _opencv_taps(pixels.shape[1], width, edge=True))
    last = pixels.shape[1] - 1
    across = near[:, None] * source[:, start] + far[:, None] * source[:, (start + 1).clamp(max=last)]
    across >>= 4
    start, near, far = (
        _on(pixels.device, part) for part in _opencv_taps(pixels.shape[0], height, edge=False)
    )
    last = pixels.shape[0] - 1
    upper, lower = across[start.clamp(0, last)], across[(start + 1).clamp(0, last)]
    result = ((near[:, None, None] * upper) >> 16) + ((far[:, None, None] * lower) >> 16)
    return ((result + 2) >> 2).to(torch.uint8)


def _opencv_taps(length: int, size: int, edge: bool) -> tuple[Int32, Int32, Int32]:
    """First tap and the two 11-bit coefficients of every target pixel; `edge` clamps them as for columns."""
    position = ((np.arange(size) + 0.5) * (length / size) - 0.5).astype(np.float32)
    start = np.floor(position)
    fraction = position - start
    if edge:
        outside = (start < 0) | (start >= length - 1)
        fraction[outside] = 0
        start = start.clip(0, length - 1)
    one = np.float32(1 << OPENCV_BITS)
    near, far = ((np.float32(1) - fraction) * one).round(), (fraction * one).round()
    return start.astype(np.int32), near.astype(np.int32), far.astype(np.int32)


def pillow_bicubic(pixels: Tensor, height: int, width: int) -> Tensor:
    """Pillow's BICUBIC of bytes (H, W, channels) uint8, in integers: (height, width, channels) uint8.

    Columns first, rounded to bytes, then rows; a pass that changes nothing is left out.
    """
    if width != pixels.shape[1]:
        pixels = _pillow_axis(pixels.transpose(0, 1), width).transpose(0, 1)
    return _pillow_axis(pixels, height) if height != pixels.shape[0] else pixels


def _pillow_axis(pixels: Tensor, size: int) -> Tensor:
    """One pass along the first axis."""
    import torch

    length = pixels.shape[0]
    start, weights = _pillow_taps(length, size)
    first, factors = _on(pixels.device, start), _on(pixels.device, weights)
    source = pixels.to(torch.int32)
    total = torch.full(
        (size, *pixels.shape[1:]), 1 << (PILLOW_BITS - 1), dtype=torch.int32, device=pixels.device
    )
    for tap in range(weights.shape[1]):
        # Taps beyond the image have weight 0.
        total += factors[:, tap, None, None] * source[(first + tap).clamp(max=length - 1)]
    return (total >> PILLOW_BITS).clamp(0, 255).to(torch.uint8)


def _pillow_taps(length: int, size: int) -> tuple[Int32, Int32]:
    """First tap and weights (size, taps) of every target pixel, as Pillow's precompute_coeffs rounds them."""
    ratio = length / size
    wide = max(ratio, 1.0)
    support = PILLOW_SUPPORT * wide
    centre = (np.arange(size) + 0.5) * ratio
    start = np.maximum((centre - support + 0.5).astype(np.int64), 0)
    end = np.minimum((centre + support + 0.5).astype(np.int64), length)
    taps = int((end - start).max())
    weights = np.zeros((size, taps))
    total = np.zeros(size)
    for tap in range(taps):
        x = np.abs((tap + start - centre + 0.5) * (1.0 / wide))
        inner = ((PILLOW_A + 2) * x - (PILLOW_A + 3)) * x * x + 1
        outer = (((x - 5) * x + 8) * x - 4) * PILLOW_A
        weights[:, tap] = np.where(start + tap < end, np.where(x < 1, inner, np.where(x < 2, outer, 0)), 0)
        # Summed tap by tap, as Pillow does: the last bits depend on the order.
        total += weights[:, tap]
    scaled = weights / total[:, None] * (1 << PILLOW_BITS)
    return start.astype(np.int32), (scaled + np.copysign(0.5, scaled)).astype(np.int32)


def torch7_axis(source: Tensor, length: int, axis: int) -> Tensor:
    """`zoo.preprocessing.torch7_bicubic.scale_rows` for tensors and any axis, operation by operation."""
    import torch

    available = source.shape[axis]
    if length == available:
        return source
    if available == 1:
        return source.repeat_interleave(length, axis)
    index, fraction = axis_positions(available, length)
    taps = _on(source.device, index)
    x = _on(source.device, fraction).reshape([-1 if d == axis else 1 for d in range(source.ndim)])
    first, second = source.narrow(axis, 0, 1), source.narrow(axis, 1, 1)
    before_last, last = source.narrow(axis, available - 2, 1), source.narrow(axis, available - 1, 1)
    extended = torch.cat([2 * first - second, source, 2 * last - before_last], axis)
    p0, p1, p2, p3 = (extended.index_select(axis, taps + tap) for tap in range(4))
    slope = p2 - p0
    curve = 2 * p0 - 5 * p1 + 4 * p2 - p3
    cubic = 3 * (p1 - p2) + p3 - p0
    body = p1 + (0.5 * x.to(torch.float64)) * (slope + x * (curve + x * cubic))
    return torch.cat([body.to(torch.float32), last], axis)


def _on(device: torch.device, array: NDArray[np.generic]) -> Tensor:
    """The array as a tensor on the device; copied first where numpy only looks at it from elsewhere."""
    import torch

    return torch.from_numpy(np.require(array, requirements=["C", "W"])).to(device)
