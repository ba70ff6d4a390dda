"""The resizes of OpenCV, Pillow and Torch7 on one image, with the same bits."""

from __future__ import annotations

import torch


def opencv_taps(
    length: int, size: int, edge: bool
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """First pixel and 11-bit weights of two; along columns they clamp at the edges."""
    place = torch.arange(size, dtype=torch.float64)
    position = ((place + 0.5) * (length / size) - 0.5).to(torch.float32)
    start = position.floor()
    fraction = position - start
    if edge:
        outside = (start < 0) | (start >= length - 1)
        fraction = torch.where(outside, torch.zeros_like(fraction), fraction)
        start = start.clamp(0, length - 1)
    near, far = ((1 - fraction) * 2048).round(), (fraction * 2048).round()
    return start.to(torch.int32), near.to(torch.int32), far.to(torch.int32)


def resize_opencv(image: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """cv2.resize with INTER_LINEAR: uint8 (H, W, C) to uint8 (height, width, C)."""
    source = image.to(torch.int32)
    if tuple(image.shape[:2]) == (2 * height, 2 * width):  # it takes the mean there
        quads = source.reshape(height, 2, width, 2, -1).sum((1, 3), dtype=torch.int32)
        return ((quads + 2) >> 2).to(torch.uint8)
    start, near, far = opencv_taps(image.shape[1], width, True)
    last = image.shape[1] - 1
    across = near[:, None] * source[:, start]
    across = (across + far[:, None] * source[:, (start + 1).clamp(max=last)]) >> 4
    start, near, far = opencv_taps(image.shape[0], height, False)
    last = image.shape[0] - 1
    upper = (near[:, None, None] * across[start.clamp(0, last)]) >> 16
    lower = (far[:, None, None] * across[(start + 1).clamp(0, last)]) >> 16
    return ((upper + lower + 2) >> 2).to(torch.uint8)


def pillow_axis(image: torch.Tensor, size: int) -> torch.Tensor:
    """One pass along the first axis, with weights of 22 bits, rounded to bytes."""
    length = image.shape[0]
    if length == size:
        return image
    ratio = length / size
    wide = max(ratio, 1.0)
    centre = (torch.arange(size, dtype=torch.float64) + 0.5) * ratio
    start = (centre - 2 * wide + 0.5).to(torch.int64).clamp(min=0)
    end = (centre + 2 * wide + 0.5).to(torch.int64).clamp(max=length)
    weights, total = [], torch.zeros_like(centre)
    for tap in range(int((end - start).max())):
        x = (((tap + start).to(torch.float64) - centre + 0.5) * (1.0 / wide)).abs()
        inner = ((-0.5 + 2) * x - (-0.5 + 3)) * x * x + 1
        outer = (((x - 5) * x + 8) * x - 4) * -0.5
        weight = torch.where(x < 1, inner, torch.where(x < 2, outer, 0.0))
        weights.append(torch.where(start + tap < end, weight, 0.0))
        total = total + weights[-1]
    source = image.to(torch.int32)
    result = torch.full((size, *image.shape[1:]), 1 << 21, dtype=torch.int32)
    for tap, weight in enumerate(weights):
        scaled = weight / total * (1 << 22)
        factor = (scaled + torch.full_like(scaled, 0.5).copysign(scaled)).to(
            torch.int32
        )
        result += factor[:, None, None] * source[(start + tap).clamp(max=length - 1)]
    return (result >> 22).clamp(0, 255).to(torch.uint8)


def resize_pillow(image: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Image.resize with BICUBIC: uint8 (H, W, C) to uint8 (height, width, C)."""
    return pillow_axis(
        pillow_axis(image.transpose(0, 1), width).transpose(0, 1), height
    )


def torch7_axis(image: torch.Tensor, size: int) -> torch.Tensor:
    """One pass along the first axis; its corners are those of the image."""
    length = image.shape[0]
    if length == size:
        return image
    if length == 1:
        return image.repeat_interleave(size, 0)
    ratio = torch.tensor(length - 1.0) / max(size - 1, 1)
    position = torch.arange(size - 1).to(torch.float32) * ratio
    start = position.to(torch.int64)
    x = (position - start.to(torch.float32))[:, None, None]
    before, after = 2 * image[:1] - image[1:2], 2 * image[-1:] - image[-2:-1]
    taps = torch.cat([before, image, after])
    a, b, c, d = (taps[start + tap] for tap in range(4))
    curve = 2 * a - 5 * b + 4 * c - d
    cubic = 3 * (b - c) + d - a
    # Torch7 computes the last product and sum in float64.
    rows = b + (0.5 * x.to(torch.float64)) * (c - a + x * (curve + x * cubic))
    return torch.cat([rows.to(torch.float32), image[-1:]])


def resize_torch7(image: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """image.scale with "bicubic": uint8 (H, W, C) to float32 (height, width, C)."""
    unit = image.to(torch.float32) * (1 / 255)
    return torch7_axis(torch7_axis(unit.transpose(0, 1), width).transpose(0, 1), height)
