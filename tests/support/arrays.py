"""Arrays for tests."""

from __future__ import annotations

import numpy as np


def values(*shape: int, seed: int = 0) -> np.ndarray:
    """Normally distributed float32 numbers; the same for the same shape and seed."""
    return np.random.default_rng([seed, *shape]).standard_normal(shape, np.float32)


def ints(*numbers: int) -> np.ndarray:
    """A vector of int64."""
    return np.array(numbers, np.int64)
