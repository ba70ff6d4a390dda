"""Writes one .onnx file with everything inside, in one pass.

The message is assembled here, not by protobuf, which would copy the weights twice: so they go from the
reader's memory map directly to the file. Field numbers are those of onnx.proto: ModelProto.graph = 7,
GraphProto.initializer = 5, TensorProto.raw_data = 9.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from converters.atomic_writing import atomic_write_group
from converters.errors import UnsupportedError
from converters.source_files import check_unchanged, sources_of
from converters.tensor_file import write_array
from converters.to_onnx.model_proto import initializer_arrays, proto_without_initializers, tensor_header

if TYPE_CHECKING:
    import onnx_ir as ir

_GRAPH, _INITIALIZER, _RAW_DATA = 7, 5, 9
# The largest message that protobuf allows: 2 GiB.
MAX_BYTES = 2**31 - 1


def save_self_contained(model: ir.Model, path: Path) -> list[Path]:
    """Writes `path`; UnsupportedError if the model is larger than a protobuf message may be."""
    proto = proto_without_initializers(model)
    graph = proto.graph.SerializeToString()
    proto.ClearField("graph")
    head = proto.SerializeToString()

    tensors = [(_tensor_head(name, array), array) for name, array in initializer_arrays(model)]
    graph_size = len(graph) + sum(_field_size(len(t) + a.nbytes) for t, a in tensors)
    if len(head) + graph_size > MAX_BYTES:
        raise UnsupportedError(
            f"{path}: the model needs {graph_size:,} bytes and a single .onnx file can have {MAX_BYTES:,}; "
            "write the weights beside it: --external"
        )
    with (
        atomic_write_group(path.parent, [path.name]) as temporary,
        (temporary / path.name).open("wb") as file,
    ):
        file.write(head)
        file.write(_length_delimited(_GRAPH, graph_size))
        file.write(graph)
        for tensor, array in tensors:
            file.write(_length_delimited(_INITIALIZER, len(tensor) + array.nbytes))
            file.write(tensor)
            write_array(file.write, array, sources_of(model))
        check_unchanged(model)
    return [path]


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
