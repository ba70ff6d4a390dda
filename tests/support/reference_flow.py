"""FlowNet's layers in float64, pixel by pixel."""

from __future__ import annotations

import math

import numpy as np


def correlation(
    first: np.ndarray,
    second: np.ndarray,
    pads: tuple[int, int],
    kernel: int,
    reach: tuple[int, int],
    stride: int,
    rows: list[int],
    columns: list[int],
    subtract: bool = False,
) -> np.ndarray:
    """Mean over a patch and all channels of products (or distances) with the patch displaced.

    reach: the border, without that of half a kernel, where no patch begins. rows, columns: displacements.
    """
    frame = ((0, 0), (0, 0), (pads[0], pads[0]), (pads[1], pads[1]))
    a, b = np.pad(first, frame), np.pad(second, frame)
    n, c, height, width = a.shape
    out_height = math.ceil((height - 2 * (reach[0] + kernel // 2)) / stride)
    out_width = math.ceil((width - 2 * (reach[1] + kernel // 2)) / stride)
    y = np.zeros((n, len(rows) * len(columns), out_height, out_width))
    for i, v, u in np.ndindex(n, out_height, out_width):
        top, left = v * stride + reach[0], u * stride + reach[1]
        patch = a[i, :, top : top + kernel, left : left + kernel]
        for k, (dy, dx) in enumerate((dy, dx) for dy in rows for dx in columns):
            other = np.zeros_like(patch)
            for j in range(kernel):
                # Displaced beyond the left end of the image, there is only padding.
                inside = [left + dx + o for o in range(kernel)]
                other[:, j] = np.stack(
                    [b[i, :, top + dy + j, o] if o >= 0 else np.zeros(c) for o in inside], axis=-1
                )
            compared = np.abs(patch - other) if subtract else patch * other
            y[i, k, v, u] = compared.sum() / (kernel * kernel * c)
    return y


def warped(image: np.ndarray, flow: np.ndarray, outside: float) -> np.ndarray:
    """The pixel that each flow vector (dx, dy) points to, bilinear; `outside` the image that value."""
    n, _, height, width = image.shape
    y = np.full(image.shape, outside)
    for i, row, column in np.ndindex(n, height, width):
        u, v = column + flow[i, 0, row, column], row + flow[i, 1, row, column]
        if not (0 <= u < width and 0 <= v < height):
            continue
        left, top = int(u), int(v)
        right, below = min(left + 1, width - 1), min(top + 1, height - 1)
        a, b = v - top, u - left
        y[i, :, row, column] = (1 - a) * (
            (1 - b) * image[i, :, top, left] + b * image[i, :, top, right]
        ) + a * ((1 - b) * image[i, :, below, left] + b * image[i, :, below, right])
    return y
