"""Arrays in a .safetensors file: written from where they lie, and found again by offset."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from converters.errors import UsageError


@dataclass(frozen=True)
class ExternalData:
    """Where an array lies: `length` bytes at `offset` of the file `location`."""

    location: str
    offset: int
    length: int


def write_tensors(path: Path, arrays: Mapping[str, np.ndarray]) -> dict[str, ExternalData]:
    """Write `path` and return the place of every array in it. UsageError if it cannot be written."""
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    path.touch()
    mode = path.stat().st_mode  # safetensors writes for the owner alone; the caller's umask decides
    try:
        # It reads the memory at the array's address, and only that of contiguous ones rightly.
        save_file(
            {name: little_endian(array) for name, array in arrays.items()}, path, metadata={"format": "pt"}
        )
    except SafetensorError as error:
        raise UsageError(f"{path}: cannot be written: {error}") from error
    path.chmod(mode)
    return tensor_locations(path)


def tensor_locations(path: Path) -> dict[str, ExternalData]:
    """Where each tensor of a .safetensors file lies in it."""
    with path.open("rb") as file:
        (header_size,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(header_size))
    start = 8 + header_size
    return {
        name: ExternalData(path.name, start + entry["data_offsets"][0], np.diff(entry["data_offsets"]).item())
        for name, entry in header.items()
        if name != "__metadata__"
    }


def little_endian(array: np.ndarray) -> np.ndarray:
    """The array contiguous and in little-endian order, copied only if it is not so already."""
    return np.asarray(array, array.dtype.newbyteorder("<"), order="C")
