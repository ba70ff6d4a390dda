"""Mean images: the average training image that Caffe's ImageNet recipe subtracts, pixel by pixel."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from converters import wire
from zoo.errors import DataError, excerpt
from zoo.preprocessing.flavour import Float32

if TYPE_CHECKING:
    from numpy.typing import NDArray

NPY_MAGIC = b"\x93NUMPY"
# Caffe's BlobProto: num, channels, height, width; data; shape; double_data.
LEGACY_SIZES, DATA, SHAPE, DOUBLE_DATA = (1, 2, 3, 4), 5, 7, 8
SHAPE_DIM = 1
FEW_FIELDS, FLOAT_FIELD_BYTES = 100, 5
# Caffe's kMaxBlobAxes.
MOST_AXES = 32
# Much longer than any net's input; a size of 0 and another without end would make a product that looks right.
MOST_SIDE = 1 << 16
# A mean of 4096 x 4096 pixels in float64; a larger file is not a mean image.
MOST_BYTES = 1 << 29


def read_mean_image(path: Path, size: int | None) -> Float32:
    """The mean image in `path`, a .npy of pycaffe or a .binaryproto of compute_image_mean.

    Returns (channels, height, width) float32 in Caffe's channel order; (3, size, size) if a size is asked
    for. Caffe keeps it in float32; pycaffe's .npy is float64 and is rounded.

    Raises:
        DataError: unreadable, of another size, or with numbers that are not finite.
    """
    import numpy as np

    try:
        with path.open("rb") as file:
            magic = file.read(len(NPY_MAGIC))
        if path.stat().st_size > MOST_BYTES:
            raise DataError(f"{path}: far too large for a mean image")
    except OSError as error:
        raise DataError(f"{path}: the mean image cannot be read: {error.strerror}") from error
    array = _read_npy(path) if magic == NPY_MAGIC else _read_binaryproto(path, magic)
    wanted = "channels x height x width" if size is None else f"3 x {size} x {size}"
    fits = array.ndim == 3 if size is None else array.shape == (3, size, size)
    if not fits or array.dtype.kind not in "fiu" or not all(1 <= side <= MOST_SIDE for side in array.shape):
        raise DataError(
            f"{path}: expected a mean image of {wanted} numbers (channels first, BGR); "
            f"it holds {excerpt(' x '.join(map(str, array.shape)))} of {excerpt(array.dtype)}"
        )
    if isinstance(array, np.memmap):
        seen, array = array, _read_npy(path, mapped=False)
        if (array.shape, array.dtype) != (seen.shape, seen.dtype):
            raise DataError(f"{path}: the mean image was changed while it was read")
    mean = np.ascontiguousarray(array, dtype=np.float32)
    if not np.isfinite(mean).all():
        raise DataError(f"{path}: the mean image holds values that are not finite")
    return mean


def _read_npy(path: Path, *, mapped: bool = True) -> NDArray[Any]:
    """The array. Mapped, a header with a false size is found before that size is allocated.

    The values are not for use then: if the file is cut off meanwhile, touching them would end the process.
    """
    import numpy as np

    try:
        return np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)  # type: ignore[no-any-return]
    except Exception as error:  # numpy's header parser raises many types, TokenError included
        raise DataError(f"{path}: the .npy file is damaged: {excerpt(error)}") from error


def _read_binaryproto(path: Path, magic: bytes) -> NDArray[Any]:
    """The blob without its first axis, which is 1. As in Caffe, double_data counts before data."""
    import numpy as np

    sizes: dict[int, int] = {}
    shape: list[int] = []
    values: dict[int, list[memoryview]] = {DATA: [], DOUBLE_DATA: []}
    content = path.read_bytes()
    # Numbers that are not packed are the only field of which there are many.
    most = FEW_FIELDS + len(content) // FLOAT_FIELD_BYTES
    try:
        buffer = wire.Buffer(content, max_fields=most, groups=False, error=DataError)
        for field in buffer.fields():
            if field.number in LEGACY_SIZES and field.wire_type == wire.VARINT:
                sizes[field.number] = field.signed
            elif field.number == SHAPE and field.wire_type == wire.LENGTH:
                shape = list(itertools.islice(_dims(buffer, field), MOST_AXES + 1))
                if len(shape) > MOST_AXES:
                    raise DataError(f"a blob of more than {MOST_AXES} axes")
            elif field.number in values and field.wire_type in (wire.LENGTH, wire.FIXED32, wire.FIXED64):
                values[field.number].append(buffer.content(field))
    except DataError as error:
        raise DataError(
            f"{path}: expected a mean image as .npy or .binaryproto; it begins with {magic!r}: {error}"
        ) from error
    if sizes:
        shape = [sizes.get(number, 0) for number in LEGACY_SIZES]
    kind = DOUBLE_DATA if values[DOUBLE_DATA] else DATA
    dtype = np.dtype("<f8" if kind == DOUBLE_DATA else "<f4")
    numbers = b"".join(values[kind])
    in_range = len(shape) >= 2 and min(shape) >= 1 and max(shape) <= MOST_SIDE
    if not in_range or shape[0] != 1 or math.prod(shape) * dtype.itemsize != len(numbers):
        sizes_text = excerpt(" x ".join(map(str, shape))) or "of no shape"
        raise DataError(
            f"{path}: a blob {sizes_text} with {len(numbers)} bytes of {dtype}: no mean image, or damaged"
        )
    return np.frombuffer(numbers, dtype).reshape(shape[1:])


def _dims(buffer: wire.Buffer, shape: wire.Field) -> Iterator[int]:
    """BlobShape: repeated int64 dim, packed or not."""
    for field in buffer.fields(shape.start, shape.end):
        if field.number == SHAPE_DIM and field.wire_type == wire.VARINT:
            yield field.signed
        elif field.number == SHAPE_DIM and field.wire_type == wire.LENGTH:
            yield from buffer.packed_varints(field)
