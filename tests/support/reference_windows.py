"""Convolutions and poolings of Caffe's forks, in float64, window by window."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np


def convolved(
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray | None,
    strides: Sequence[int],
    pads: Sequence[int],
    group: int = 1,
) -> np.ndarray:
    """Cross-correlation over any number of axes behind (num, channels)."""
    axes = range(len(strides))
    x = np.pad(x, [(0, 0), (0, 0), *((pad, pad) for pad in pads)])
    kernel = weight.shape[2:]
    sizes = [(x.shape[2 + k] - kernel[k]) // strides[k] + 1 for k in axes]
    y = np.zeros((len(x), len(weight), *sizes))
    inputs, outputs = x.shape[1] // group, len(weight) // group
    for place in np.ndindex(*sizes):
        window = tuple(slice(place[k] * strides[k], place[k] * strides[k] + kernel[k]) for k in axes)
        for o in range(len(weight)):
            first = o // outputs * inputs
            patch = x[(slice(None), slice(first, first + inputs), *window)]
            y[(slice(None), o, *place)] = (patch * weight[o]).sum(axis=tuple(range(1, x.ndim)))
    if bias is not None:
        y += bias.reshape(-1, *(1 for _ in axes))
    return y


def rectified(x: np.ndarray, slope: float = 0) -> np.ndarray:
    """x where positive, else slope * x."""
    return np.where(x > 0, x, slope * x)


def pooled(
    x: np.ndarray,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    pad: tuple[int, int],
    *,
    maximum: bool,
    floor: bool = False,
    count_padding: bool = True,
) -> np.ndarray:
    """Pooling with Caffe's last window; the mean is over the window inside the image or the padded image."""
    image = x.shape[2:]
    rounded = math.floor if floor else math.ceil
    sizes = [rounded((image[k] + 2 * pad[k] - kernel[k]) / stride[k]) + 1 for k in range(2)]
    if any(pad):
        sizes = [size - ((size - 1) * stride[k] >= image[k] + pad[k]) for k, size in enumerate(sizes)]
    y = np.zeros((*x.shape[:2], *sizes))
    for place in np.ndindex(*sizes):
        start = [place[k] * stride[k] - pad[k] for k in range(2)]
        end = [min(start[k] + kernel[k], image[k] + pad[k]) for k in range(2)]
        inside = [(max(start[k], 0), min(end[k], image[k])) for k in range(2)]
        patch = x[:, :, inside[0][0] : inside[0][1], inside[1][0] : inside[1][1]]
        if maximum:
            y[(..., *place)] = patch.max(axis=(2, 3))
        else:
            area = math.prod(e - s for s, e in (zip(start, end, strict=True) if count_padding else inside))
            y[(..., *place)] = patch.sum(axis=(2, 3)) / area
    return y
