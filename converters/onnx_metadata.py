"""The metadata of an .onnx, read in place: neither its nodes nor its weights are read."""

from __future__ import annotations

from pathlib import Path

from converters.errors import FormatError, UsageError
from converters.source_files import SourceFile
from converters.wire import LENGTH, Buffer, Field

# Field numbers of onnx.proto: those of ModelProto, and of StringStringEntryProto.
MODEL_GRAPH, MODEL_METADATA = 7, 14
_KEY, _VALUE = 1, 2


def open_onnx(path: Path) -> Buffer:
    """The messages of an .onnx. UsageError if it cannot be read."""
    try:
        return Buffer(SourceFile(path).view, str(path), max_fields=None)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error


def metadata_of(path: Path) -> dict[str, str]:
    """The metadata of the .onnx at `path`. FormatError if it is damaged or has no graph."""
    buffer = open_onnx(path)
    metadata, has_graph = {}, False
    for field in buffer.fields():
        has_graph |= field.number == MODEL_GRAPH and field.wire_type == LENGTH
        if field.number == MODEL_METADATA and field.wire_type == LENGTH:
            key, value = pair(buffer, field)
            metadata[key] = value
    if not has_graph:
        raise FormatError(f"{path}: not a readable ONNX model: it has no graph")
    return metadata


def pair(buffer: Buffer, field: Field) -> tuple[str, str]:
    """Key and value of a StringStringEntryProto."""
    found = {_KEY: "", _VALUE: ""}
    for part in buffer.fields(field.start, field.end):
        if part.number in found and part.wire_type == LENGTH:
            found[part.number] = buffer.bytes(part.start, part.end).decode("utf-8", "surrogateescape")
    return found[_KEY], found[_VALUE]
