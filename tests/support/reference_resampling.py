"""Layers that change the size of an image, in float64 and pixel by pixel."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np


def interpolated(x: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Bilinear; the first and last pixels of both axes stay where they are."""
    height, width = x.shape[2:]
    y = np.zeros((*x.shape[:2], *size))
    for row in range(size[0]):
        for column in range(size[1]):
            v = row * (height - 1) / (size[0] - 1) if size[0] > 1 else 0.0
            u = column * (width - 1) / (size[1] - 1) if size[1] > 1 else 0.0
            top, left = min(int(v), height - 1), min(int(u), width - 1)
            below, right = min(top + 1, height - 1), min(left + 1, width - 1)
            a, b = v - top, u - left
            y[:, :, row, column] = (1 - a) * ((1 - b) * x[:, :, top, left] + b * x[:, :, top, right]) + a * (
                (1 - b) * x[:, :, below, left] + b * x[:, :, below, right]
            )
    return y


def interp(
    x: np.ndarray,
    size: tuple[int, int] | None = None,
    zoom: int = 1,
    shrink: int = 1,
    pad: tuple[int, int] = (0, 0),
) -> np.ndarray:
    """Interp; `pad` is pad_beg and pad_end."""
    x = x[:, :, -pad[0] : x.shape[2] + pad[1], -pad[0] : x.shape[3] + pad[1]]
    if size is None:
        shrunk = [(pixels - 1) // shrink + 1 for pixels in x.shape[2:]]
        size = (shrunk[0] + (shrunk[0] - 1) * (zoom - 1), shrunk[1] + (shrunk[1] - 1) * (zoom - 1))
    return interpolated(x, size)


def repeated(x: np.ndarray, scale: int) -> np.ndarray:
    """Each pixel `scale` times along both axes."""
    return np.kron(x, np.ones((scale, scale)))


def pooled_with_places(x: np.ndarray, kernel: int) -> tuple[np.ndarray, np.ndarray]:
    """Maxima of adjacent windows (the last may reach beyond the image) and their places in the plane."""
    n, c, height, width = x.shape
    rows, columns = -(-height // kernel), -(-width // kernel)
    y, places = np.zeros((n, c, rows, columns)), np.zeros((n, c, rows, columns), int)
    for i, j, row, column in np.ndindex(y.shape):
        window = x[i, j, row * kernel : (row + 1) * kernel, column * kernel : (column + 1) * kernel]
        v, u = np.unravel_index(np.argmax(window), window.shape)
        y[i, j, row, column] = window[v, u]
        places[i, j, row, column] = (row * kernel + v) * width + column * kernel + u
    return y, places


def unpooled(x: np.ndarray, places: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Zeros, and each pixel at its place in the plane of `size`."""
    y = np.zeros((*x.shape[:2], size[0] * size[1]))
    for i, j, row, column in np.ndindex(x.shape):
        y[i, j, int(places[i, j, row, column])] = x[i, j, row, column]
    return y.reshape(*x.shape[:2], *size)


def nearest_whole(value: float) -> int:
    """Halves away from zero, as C rounds."""
    return int(math.copysign(math.floor(abs(value) + 0.5), value))


def triangle(x: float) -> float:
    """The linear kernel."""
    return max(0.0, 1 - abs(x))


def cubic(x: float) -> float:
    """Keys' kernel with a = -1/2."""
    a, x = -0.5, abs(x)
    if x <= 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a if x < 2 else 0.0


def resampled(x: np.ndarray, size: tuple[int, int], kind: str, antialias: bool = True) -> np.ndarray:
    """Resample of FlowNet 2, which adds half of the other axis' factor to each coordinate."""
    height, width = x.shape[2:]
    fy, fx = height / size[0], width / size[1]
    kernel: Callable[[float], float] = triangle if kind == "LINEAR" else cubic
    reach = 2 if kind == "LINEAR" else 4
    smooth = antialias and (fx > 1 or fy > 1)
    ax, ay = (1 / fx, 1 / fy) if smooth else (1.0, 1.0)
    rx = 2 if fx < 1 else math.ceil(reach / ax)
    ry = 2 if fy < 1 else math.ceil(reach / ay)
    y = np.zeros((*x.shape[:2], *size))
    for row in range(size[0]):
        for column in range(size[1]):
            v, u = row * fy + fx / 2 - 0.5, column * fx + fy / 2 - 0.5
            near_v, near_u = nearest_whole(v), nearest_whole(u)
            if kind == "NEAREST":
                y[:, :, row, column] = x[:, :, near_v, near_u]
                continue
            total = np.zeros(x.shape[:2])
            weights = 0.0
            for i in range(max(0, near_v - ry), min(height, near_v + ry + 1)):
                for j in range(max(0, near_u - rx), min(width, near_u + rx + 1)):
                    weight = ax * kernel(ax * (u - j)) * ay * kernel(ay * (v - i))
                    total += weight * x[:, :, i, j]
                    weights += weight
            y[:, :, row, column] = total / weights if weights else 0
    return y


def downsampled(x: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Downsample of FlowNet: triangles as wide as the step, with aligned corners."""
    height, width = x.shape[2:]
    if (height, width) == size:
        return x
    fy, fx = (height - 1) / (size[0] - 1), (width - 1) / (size[1] - 1)
    y = np.zeros((*x.shape[:2], *size))
    for row in range(size[0]):
        for column in range(size[1]):
            total, weights = np.zeros(x.shape[:2]), 0.0
            v, u = row * fy, column * fx
            for i in range(height):
                for j in range(width):
                    if abs(i - nearest_whole(v)) > math.ceil(fy) or abs(j - nearest_whole(u)) > math.ceil(fx):
                        continue
                    weight = triangle((u - j) / fx) * triangle((v - i) / fy)
                    total, weights = total + weight * x[:, :, i, j], weights + weight
            y[:, :, row, column] = total / weights
    return y


def accumulated(images: Sequence[np.ndarray], size: tuple[int, int]) -> np.ndarray:
    """The channels of all images, each interpolated to one size."""
    return np.concatenate([interpolated(x, size) for x in images], axis=1)
