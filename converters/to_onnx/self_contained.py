"""Writes one .onnx file with everything inside, in one pass.

The message is assembled here, not by protobuf, which would copy the weights twice: so they go from the file
they were read from directly to the new one. The fields have the order of their numbers, so that the metadata
come after the weights: the hashes in them are computed while the weights are written. Field numbers are those
of onnx.proto: ModelProto.graph = 7, GraphProto.initializer = 5, TensorProto.raw_data = 9.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from converters.atomic_writing import atomic_write_group
from converters.errors import UnsupportedError
from converters.output_file import OutputFile
from converters.pending_metadata import complete
from converters.source_files import check_unchanged, sources_of
from converters.tensor_file import write_array
from converters.to_onnx.model_proto import (
    fields_around_graph,
    initializer_arrays,
    proto_without_initializers,
    set_metadata,
    tensor_header,
)

if TYPE_CHECKING:
    import onnx_ir as ir

_GRAPH, _INITIALIZER, _RAW_DATA = 7, 5, 9
# The largest message that protobuf allows: 2 GiB.
MAX_BYTES = 2**31 - 1
# Room for everything but the weights: nodes, names and metadata.
RESERVED_BYTES = 64 << 20


def fits_in_one_file(model: ir.Model) -> bool:
    """Whether the model is surely no larger than a protobuf message may be."""
    weights = sum(array.nbytes for _, array in initializer_arrays(model))
    return weights <= MAX_BYTES - RESERVED_BYTES


def save_self_contained(model: ir.Model, path: Path) -> list[Path]:
    """Writes `path`; UnsupportedError if the model is larger than a protobuf message may be."""
    proto = proto_without_initializers(model)
    graph = proto.graph.SerializeToString()
    before = fields_around_graph(proto, before=True).SerializeToString()
    tensors = [(_tensor_head(name, array), array) for name, array in initializer_arrays(model)]
    graph_size = len(graph) + sum(_field_size(len(t) + a.nbytes) for t, a in tensors)
    _check_size(path, len(before) + graph_size)
    with atomic_write_group(path.parent, [path.name]) as temporary:
        with OutputFile(temporary / path.name) as file:
            file.write(before)
            file.write(_length_delimited(_GRAPH, graph_size))
            file.write(graph)
            for tensor, array in tensors:
                file.write(_length_delimited(_INITIALIZER, len(tensor) + array.nbytes))
                file.write(tensor)
                write_array(file, array, sources_of(model))
            complete(model)  # the sources were hashed meanwhile
            set_metadata(proto, model)
            file.write(fields_around_graph(proto, before=False).SerializeToString())
        _check_size(path, file.size)
        check_unchanged(model)
    return [path]


def _check_size(path: Path, size: int) -> None:
    if size > MAX_BYTES:
        raise UnsupportedError(
            f"{path}: the model needs {size:,} bytes and a single .onnx file can have {MAX_BYTES:,}; "
            "write the weights beside it: --external"
        )


def _tensor_head(name: str, array: np.ndarray) -> bytes:
    """A TensorProto without its raw data, up to and including the length of that data."""
    return tensor_header(name, array).SerializeToString() + _length_delimited(_RAW_DATA, array.nbytes)


def _field_size(length: int) -> int:
    return len(_length_delimited(_INITIALIZER, length)) + length


def _length_delimited(field: int, length: int) -> bytes:
    return _varint(field << 3 | 2) + _varint(length)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
