"""A Torch7 net of the layers of VGG-16, with weights from a seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from torch7_cases import T7Writer, sizes

# Feature maps of the convolutions of each block, and of the hidden layers, in units of the first one's.
BLOCKS = ((1, 1), (2, 2), (4, 4, 4), (8, 8, 8), (8, 8, 8))
HIDDEN, CLASSES, SIDE = 64, 1000, 224
# With this width it has the 138 million weights of VGG-16.
WIDTH = 64


def write_vgg(path: Path, width: int = WIDTH) -> Path:
    """Write the net unless it is there; it takes (N, 3, 224, 224)."""
    if not path.exists():
        path.write_bytes(T7Writer().file(("nn.Sequential", {"modules": _modules(width), "train": False})))
    return path


def _modules(width: int) -> list[object]:
    random = np.random.default_rng(0)
    modules: list[object] = []
    channels, side = 3, SIDE
    for block in BLOCKS:
        for units in block:
            modules += [_convolution(random, channels, units * width), _relu()]
            channels = units * width
        modules.append(_pooling())
        side //= 2
    inputs = channels * side * side
    modules.append(("nn.View", {"size": sizes(inputs), "numElements": inputs}))
    for outputs in (HIDDEN * width, HIDDEN * width):
        modules += [_linear(random, inputs, outputs), _relu()]
        inputs = outputs
    return [*modules, _linear(random, inputs, CLASSES), ("nn.LogSoftMax", {})]


def _convolution(random: np.random.Generator, inputs: int, outputs: int) -> object:
    sizes = {"nInputPlane": inputs, "nOutputPlane": outputs, "kW": 3, "kH": 3, "dW": 1, "dH": 1}
    weights = {
        "weight": random.standard_normal((outputs, inputs, 3, 3), np.float32) / np.float32(3 * inputs**0.5),
        "bias": np.zeros(outputs, np.float32),
    }
    return "nn.SpatialConvolution", {**sizes, "padW": 1, "padH": 1, **weights}


def _linear(random: np.random.Generator, inputs: int, outputs: int) -> object:
    weight = random.standard_normal((outputs, inputs), np.float32) / np.float32(inputs**0.5)
    return "nn.Linear", {"weight": weight, "bias": np.zeros(outputs, np.float32)}


def _relu() -> object:
    return "nn.ReLU", {"threshold": 0, "val": 0, "inplace": True}


def _pooling() -> object:
    return "nn.SpatialMaxPooling", {
        **{"kW": 2, "kH": 2, "dW": 2, "dH": 2, "padW": 0, "padH": 0},
        "ceil_mode": False,
    }
