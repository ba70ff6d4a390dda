"""Writes arrays to a .safetensors file, without a copy, and finds their offsets in it."""

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
    """The place of an array: `length` bytes at `offset` of the file `location`, as ONNX names them."""

    location: str
    offset: int
    length: int


def write_tensors(path: Path, arrays: Mapping[str, np.ndarray]) -> dict[str, ExternalData]:
    """Writes `path` and returns the place of every array in it. UsageError if it cannot be written."""
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    path.touch()
    mode = path.stat().st_mode  # of the caller's umask; safetensors lets only the owner read the file
    try:
        # save_file reads the memory from the address on, which is wrong for arrays that are not contiguous.
        save_file(
            {name: little_endian(array) for name, array in arrays.items()}, path, metadata={"format": "pt"}
        )
    except SafetensorError as error:
        raise UsageError(f"{path}: cannot be written: {error}") from error
    path.chmod(mode)
    return tensor_locations(path)


def tensor_locations(path: Path) -> dict[str, ExternalData]:
    """The place of each tensor in a .safetensors file."""
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
    """The array contiguous and in little-endian order; copied only if necessary."""
    return np.asarray(array, array.dtype.newbyteorder("<"), order="C")
