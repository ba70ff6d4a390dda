"""Writes arrays to a .safetensors file, and finds their offsets in it.

The format: the length of the header (u64), the header (JSON: type, shape and offsets of every tensor), then
the data without gaps. https://github.com/huggingface/safetensors has the rules. The order and the padding are
those of its own `save_file`, so that the same tensors make the same file. It is written here to hash the file
on the way, and because `save_file` would touch memory-mapped sources: see `converters.source_files`.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from converters.errors import UsageError
from converters.mapped_array import in_memory
from converters.output_file import Output, OutputFile
from converters.source_files import SourceFile

# The names of the element types, and their order in a file.
_TYPE_NAMES = {
    **{"uint64": "U64", "int64": "I64", "float64": "F64", "complex64": "C64"},
    **{"float32": "F32", "uint32": "U32", "int32": "I32", "bfloat16": "BF16", "float16": "F16"},
    **{"uint16": "U16", "int16": "I16", "int8": "I8", "uint8": "U8", "bool": "BOOL"},
}
_HEADER_ALIGNMENT = 8


@dataclass(frozen=True)
class ExternalData:
    """The place of an array: `length` bytes at `offset` of the file `location`, as ONNX names them."""

    location: str
    offset: int
    length: int


@dataclass(frozen=True)
class TensorFile:
    """A written file: its SHA-256, its size, and the place of each tensor in it."""

    sha256: str
    size: int
    places: dict[str, ExternalData]


def write_tensors(
    path: Path, arrays: Mapping[str, np.ndarray], sources: Sequence[SourceFile] = (), *, hashed: bool = True
) -> TensorFile:
    """Writes `path`. `sources`: files of which arrays may be views; see `write_array`.

    hashed: compute the SHA-256 of the file; without it, it is empty.

    Raises OSError, UsageError for an element type that the format does not have, and SourceChangedError.
    """
    header, places = _header(path.name, arrays)
    with OutputFile(path, hashed=hashed) as file:
        file.write(header)
        for name in places:
            write_array(file, arrays[name], sources)
    return TensorFile(file.sha256 if hashed else "", file.size, places)


def write_array(out: Output, array: np.ndarray, sources: Sequence[SourceFile]) -> None:
    """Writes the bytes of an array, contiguous and little-endian.

    A view of a mapped file is copied from the file, so that it does no harm if the file gets shorter
    meanwhile: SourceChangedError.
    """
    for source in sources:
        if source.is_mapped and (offset := source.offset_of(array)) is not None:
            _write_mapped(out, array, source, offset)
            return
    out.write(_bytes_of(array))


def little_endian(array: np.ndarray) -> np.ndarray:
    """The array contiguous and in little-endian order; copied only if necessary."""
    return np.asarray(in_memory(array), array.dtype.newbyteorder("<"), order="C")


def _write_mapped(out: Output, array: np.ndarray, source: SourceFile, offset: int) -> None:
    if not array.flags.c_contiguous or array.dtype.byteorder == ">":
        first, end = np.lib.array_utils.byte_bounds(array)
        start = array.__array_interface__["data"][0] - first
        content = source.read(offset, end - first)
        out.write(_bytes_of(np.ndarray(array.shape, array.dtype, content, start, array.strides)))
        return
    out.copy(source, offset, array.nbytes)


def _bytes_of(array: np.ndarray) -> memoryview:
    return little_endian(array).reshape(-1).view(np.uint8).data


def _header(location: str, arrays: Mapping[str, np.ndarray]) -> tuple[bytes, dict[str, ExternalData]]:
    """The first bytes of the file, and the places of the tensors in the order of their data."""
    ranks = {kind: rank for rank, kind in enumerate(_TYPE_NAMES)}
    unknown = [name for name, array in arrays.items() if array.dtype.name not in ranks]
    if unknown:
        raise UsageError(
            f"{location}: the tensor {unknown[0]!r} has elements of type {arrays[unknown[0]].dtype.name}, "
            "which .safetensors does not have"
        )
    ordered = sorted(arrays.items(), key=lambda item: (ranks[item[1].dtype.name], item[0]))
    entries: dict[str, object] = {"__metadata__": {"format": "pt"}}
    begin, offsets = 0, {}
    for name, array in ordered:
        offsets[name] = begin, begin + array.nbytes
        entries[name] = {
            "dtype": _TYPE_NAMES[array.dtype.name],
            "shape": array.shape,
            "data_offsets": offsets[name],
        }
        begin += array.nbytes
    text = json.dumps(entries, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _HEADER_ALIGNMENT)
    start = struct.calcsize("<Q") + len(text)
    return struct.pack("<Q", len(text)) + text, {
        name: ExternalData(location, start + begin, end - begin) for name, (begin, end) in offsets.items()
    }
