"""Rearranging, combining and normalising layers of Caffe's forks, in float64, element by element."""

from __future__ import annotations

import itertools

import numpy as np


def permute(x: np.ndarray, order: list[int]) -> np.ndarray:
    """Every element moved by its index; axes not in `order` follow."""
    axes = order + [a for a in range(x.ndim) if a not in order]
    y = np.empty([x.shape[a] for a in axes])
    for index in itertools.product(*map(range, x.shape)):
        y[tuple(index[a] for a in axes)] = x[index]
    return y


def reorg(x: np.ndarray, stride: int, reverse: bool) -> np.ndarray:
    """Darknet's loop: it always pairs (C, H, W) with (C / s^2, H * s, W * s), as flat memory."""
    n, c, h, w = x.shape
    deep = c // stride**2
    y = np.empty((n, x[0].size))
    flat = x.reshape(n, -1)
    for k, j, i in itertools.product(range(c), range(h), range(w)):
        here = i + w * (j + h * k)
        offset, channel = divmod(k, deep)
        row, column = j * stride + offset // stride, i * stride + offset % stride
        there = column + w * stride * (row + h * stride * channel)
        if reverse:
            y[:, there] = flat[:, here]
        else:
            y[:, here] = flat[:, there]
    if reverse:
        return y.reshape(n, deep, h * stride, w * stride)
    return y.reshape(n, c * stride**2, h // stride, w // stride)


def shuffle_channel(x: np.ndarray, group: int) -> np.ndarray:
    """Channel j of group i goes to place i of column j."""
    columns = x.shape[1] // group
    y = np.empty(x.shape)
    for i, j in itertools.product(range(group), range(columns)):
        y[:, j * group + i] = x[:, i * columns + j]
    return y


def axpy(scale: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """One scale per item and channel."""
    out = np.array(y, np.float64)
    for n, c in itertools.product(*map(range, x.shape[:2])):
        out[n, c] += float(scale[n, c].ravel()[0]) * x[n, c]
    return out


def normalize(x: np.ndarray, scale: np.ndarray, eps: float, across_spatial: bool) -> np.ndarray:
    """Every item by its own norm, or every pixel by that of its channels."""
    x = x.astype(np.float64)
    y = np.empty_like(x)
    factor = np.broadcast_to(scale.ravel(), x.shape[1])
    for n in range(len(x)):
        if across_spatial:
            y[n] = x[n] / np.sqrt((x[n] ** 2).sum() + eps)
        else:
            for place in itertools.product(*map(range, x.shape[2:])):
                pixel = (n, slice(None), *place)
                y[pixel] = x[pixel] / np.sqrt((x[pixel] ** 2).sum() + eps)
        for c in range(x.shape[1]):
            y[n, c] *= factor[c]
    return y


def standardised(x: np.ndarray, mean: np.ndarray, variance: np.ndarray, eps: float) -> np.ndarray:
    """Channel by channel."""
    y = x.astype(np.float64)
    for c in range(x.shape[1]):
        y[:, c] = (y[:, c] - mean[c]) / np.sqrt(variance[c] + eps)
    return y


def scaled(x: np.ndarray, scale: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Channel by channel."""
    y = x.astype(np.float64)
    for c in range(x.shape[1]):
        y[:, c] = y[:, c] * scale[c] + shift[c]
    return y


def batch_statistics(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(mean, variance) of each channel over the batch."""
    channels = [x[:, c].astype(np.float64) for c in range(x.shape[1])]
    return np.array([c.mean() for c in channels]), np.array([(c**2).mean() - c.mean() ** 2 for c in channels])
