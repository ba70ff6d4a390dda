"""What the Caffe flavours share: decoded by OpenCV, BGR, 0..255, cropped and normalised as in Caffe."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from zoo.preprocessing.flavour import Flavour, Pixels
from zoo.preprocessing.tensors import Int32, on_device

if TYPE_CHECKING:
    from torch import Tensor

# OpenCV's INTER_RESIZE_COEF_BITS.
COEFFICIENT_BITS = 11


class CaffeImages(Flavour):
    """Base of the Caffe flavours. Normalisation is (pixel - mean) * scale in float32."""

    channels: ClassVar[Literal["BGR", "RGB"]] = "BGR"
    max_value: ClassVar[int] = 255
    normalisation_max_value: ClassVar[int] = 255
    takes_scale: ClassVar[bool] = True
    takes_mean_image: ClassVar[bool] = True
    takes_pixels: ClassVar[bool] = True

    def offset(self, length: int, crop: int) -> int:
        """DataTransformer at TEST: (length - crop) / 2 in integers."""
        return (length - crop) // 2


def linear(pixels: Pixels, height: int, width: int) -> Pixels:
    """cv2's INTER_LINEAR to that size: (height, width, channels), of the dtype of `pixels`."""
    import cv2

    # OpenCV drops the axis of a single channel.
    return cv2.resize(pixels, (width, height), interpolation=cv2.INTER_LINEAR).reshape(height, width, -1)


def linear_tensor(pixels: Tensor, height: int, width: int) -> Tensor:
    """`linear` of bytes (H, W, channels) uint8 as a tensor, in integers: (height, width, channels) uint8.

    Columns clamp the coefficient at the edges, rows clamp only the index. A reduction by exactly two along
    both axes is the rounded mean of 2x2 pixels instead.
    """
    import torch

    source = pixels.to(torch.int32)
    if tuple(pixels.shape[:2]) == (2 * height, 2 * width):
        quads = source.reshape(height, 2, width, 2, -1).sum((1, 3), dtype=torch.int32)
        return ((quads + 2) >> 2).to(torch.uint8)
    start, near, far = (
        on_device(part, pixels.device) for part in _linear_taps(pixels.shape[1], width, edge=True)
    )
    last = pixels.shape[1] - 1
    across = near[:, None] * source[:, start] + far[:, None] * source[:, (start + 1).clamp(max=last)]
    across >>= 4
    start, near, far = (
        on_device(part, pixels.device) for part in _linear_taps(pixels.shape[0], height, edge=False)
    )
    last = pixels.shape[0] - 1
    upper, lower = across[start.clamp(0, last)], across[(start + 1).clamp(0, last)]
    result = ((near[:, None, None] * upper) >> 16) + ((far[:, None, None] * lower) >> 16)
    return ((result + 2) >> 2).to(torch.uint8)


def _linear_taps(length: int, size: int, edge: bool) -> tuple[Int32, Int32, Int32]:
    """First tap and the two 11-bit coefficients of every target pixel; `edge` clamps them as for columns."""
    import numpy as np

    position = ((np.arange(size) + 0.5) * (length / size) - 0.5).astype(np.float32)
    start = np.floor(position)
    fraction = position - start
    if edge:
        outside = (start < 0) | (start >= length - 1)
        fraction[outside] = 0
        start = start.clip(0, length - 1)
    one = np.float32(1 << COEFFICIENT_BITS)
    near, far = ((np.float32(1) - fraction) * one).round(), (fraction * one).round()
    return start.astype(np.int32), near.astype(np.int32), far.astype(np.int32)
