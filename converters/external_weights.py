"""The weights of an .onnx that lie in other files, read in place.

onnx and onnx_ir refuse such a file if it has a second hard link, as every file in a store without duplicates
has. Here it is mapped directly, after the checks that matter: the file lies in or below the folder of the
model, and it has all the bytes that the model asks for.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import onnx_ir as ir

from converters.errors import FormatError, UsageError


def map_external_weights(model: ir.Model, path: Path) -> None:
    """Replaces each weight that lies in another file by a view of that file, which stays mapped.

    UsageError for a file that is missing or lies elsewhere, FormatError for one that is too short.
    """
    maps: dict[str, np.ndarray] = {}
    for name, value in model.graph.initializers.items():
        tensor = value.const_value
        if not isinstance(tensor, ir.ExternalTensor) or tensor.dtype.bitwidth < 8:
            continue
        location = str(tensor.location)
        if location not in maps:
            maps[location] = _mapped(path, location)
        dtype = tensor.dtype.numpy().newbyteorder("<")
        shape = tensor.shape.numpy()
        start, count = tensor.offset or 0, math.prod(shape)
        end = start + count * dtype.itemsize
        if start < 0 or end > maps[location].size:
            raise FormatError(
                f"{path}: the weight {name!r} needs bytes {start:,} to {end:,} of {location}, which has "
                f"{maps[location].size:,}: the file is cut off or belongs to another model"
            )
        array = np.frombuffer(maps[location], dtype, count, start).reshape(shape) if count else None
        value.const_value = ir.Tensor(np.zeros(shape, dtype) if array is None else array, name=name)


def _mapped(path: Path, location: str) -> np.ndarray:
    """The bytes of the file at `location`, a path relative to the folder of the model."""
    folder = path.resolve().parent
    place = path.parent / location
    inside = (folder / location).resolve()
    if Path(location).is_absolute() or not inside.is_relative_to(folder):
        raise UsageError(
            f"{path}: its weights are in {location}, which leads to {inside}, outside the folder of the "
            "model; copy that file into the folder"
        )
    if not inside.is_file():
        raise UsageError(f"{path}: its weights are in {place}, which is missing; put that file there")
    try:
        return np.memmap(inside, np.uint8, "r") if inside.stat().st_size else np.zeros(0, np.uint8)
    except OSError as error:
        raise UsageError(f"{place}: the weights cannot be read: {error.strerror}") from error
