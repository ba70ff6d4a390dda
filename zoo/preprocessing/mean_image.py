"""Mean images: the average training image that Caffe's ImageNet recipe subtracts, pixel by pixel."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from zoo.errors import DataError
from zoo.preprocessing.flavour import Float32

NPY_MAGIC = b"\x93NUMPY"


def read_mean_image(path: Path, size: int) -> Float32:
    """The mean image in the .npy file `path`: (3, size, size) float32, BGR.

    Caffe holds it in float32; pycaffe's .npy is float64 and is rounded to that.

    Raises:
        DataError: unreadable, or not three channels of size x size finite numbers.
    """
    try:
        with path.open("rb") as file:
            magic = file.read(len(NPY_MAGIC))
    except OSError as error:
        raise DataError(f"{path}: the mean image cannot be read: {error.strerror}") from error
    if magic != NPY_MAGIC:
        raise DataError(f"{path}: expected a mean image as a .npy file; it begins with {magic!r}")
    try:
        # Mapped, so that a header which lies about its size is found before that size is allocated.
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # numpy lets whatever its header parser meets through, TokenError included
        raise DataError(f"{path}: the .npy file is damaged: {error}") from error
    if array.shape != (3, size, size) or array.dtype.kind not in "fiu":
        raise DataError(
            f"{path}: expected a mean image of 3 x {size} x {size} numbers (channels first, BGR); "
            f"it holds {' x '.join(map(str, array.shape))} of {array.dtype}"
        )
    mean = np.ascontiguousarray(array, dtype=np.float32)
    if not np.isfinite(mean).all():
        raise DataError(f"{path}: the mean image holds values that are not finite")
    return mean
