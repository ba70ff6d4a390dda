"""The weights of an .onnx that lie in other files: found, held against what is on record, and read in place.

onnx and onnx_ir refuse such a file if it has a second hard link, as every file in a store without duplicates
has. Here it is opened directly, after the checks that matter: the file lies in or below the folder of the
model, it has all the bytes that the model asks for, and where the model says which file it was written with
(`converters.weights_record`), it is that file.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from converters.errors import ConverterError, FormatError, UsageError
from converters.onnx_metadata import MODEL_GRAPH, MODEL_METADATA, open_onnx, pair
from converters.source_files import SourceFile, watch
from converters.weights_record import METADATA_KEY, WeightsRecord, read_records
from converters.wire import LENGTH, VARINT, Buffer, Field

if TYPE_CHECKING:
    import onnx_ir as ir

# Field numbers of onnx.proto.
_MODEL_FUNCTION = 25
_FUNCTION_NODE = 7
_GRAPH_NODE, _GRAPH_INITIALIZER = 1, 5
_NODE_ATTRIBUTE = 5
_ATTRIBUTE_TENSORS, _ATTRIBUTE_GRAPHS = (5, 10), (6, 11)
_TENSOR_EXTERNAL_DATA, _TENSOR_LOCATION = 13, 14
_IS_EXTERNAL = 1
# Graphs in attributes (If, Loop, Scan) nest a few levels deep.
_MAX_NESTING = 50


@dataclass(frozen=True)
class _Found:
    """What an .onnx says of other files: the locations and, by location, the last byte asked for."""

    ends: Mapping[str, int]
    records: Mapping[str, WeightsRecord]


def external_locations(path: Path) -> list[str]:
    """The files that an .onnx names for its weights, relative to its folder; they may be missing.

    FormatError for a damaged .onnx.
    """
    return list(_scan(path).ends)


def external_files(path: Path, *, verify: bool = False) -> dict[str, SourceFile]:
    """The files with weights of the .onnx at `path`, opened and checked, by their location in it.

    verify: hash every file that is on record, even one that looks unchanged.

    Raises:
        UsageError: a file is missing or lies outside the folder of the model.
        FormatError: a file is too short, or is not the one on record; or the .onnx is damaged.
    """
    found = _scan(path)
    opened = {}
    for location, end in found.ends.items():
        opened[location] = file = open_external(path, location, found.records, verify=verify)
        if end > file.state.size:
            raise _too_short(path, "a weight", end, location, file.state.size)
    return opened


def map_external_weights(model: ir.Model, path: Path, *, verify: bool = False) -> None:
    """Replaces each weight that lies in another file by a view of that file, which stays open.

    Raises as `external_files`.
    """
    files: dict[str, SourceFile] = {}
    records = read_records(model.metadata_props.get(METADATA_KEY), path)
    for holder, tensor in _external_tensors(model):
        location = str(tensor.location)
        if location not in files:
            files[location] = open_external(path, location, records, verify=verify)
        holder.set(_in_place(tensor, files[location], path))
    watch(model, opened=files.values())


def external_problems(model: ir.Model, path: Path, *, verify: bool = False) -> list[str]:
    """What prevents reading the weights of a model that lie in other files; empty if nothing does."""
    try:
        map_external_weights(model, path, verify=verify)
    except ConverterError as error:
        return [str(error)]
    return []


def open_external(
    path: Path, location: str, records: Mapping[str, WeightsRecord], *, verify: bool
) -> SourceFile:
    """The file at `location`, a path relative to the folder of the .onnx at `path`, checked if on record."""
    inside = _inside(path, location)
    try:
        file = SourceFile(inside)
    except OSError as error:
        raise UsageError(f"{path.parent / location}: the weights cannot be read: {error.strerror}") from error
    if location in records:
        records[location].check(file, path, verify=verify)
    return file


def _inside(path: Path, location: str) -> Path:
    """The file at `location`; UsageError if it is missing or lies outside the folder of the model."""
    folder = path.resolve().parent
    try:
        inside = (folder / location).resolve()
        is_file = inside.is_file()
    except (OSError, ValueError) as error:  # no name that a file can have
        raise FormatError(f"{path}: its weights are in {location!r}, which names no file: damaged") from error
    if not location or Path(location).is_absolute() or not inside.is_relative_to(folder):
        raise UsageError(
            f"{path}: its weights are in {location or 'a file without a name'}, which leads to {inside}, "
            "outside the folder of the model; copy that file into the folder"
        )
    if not is_file:
        raise UsageError(
            f"{path}: its weights are in {path.parent / location}, which is missing; put that file there"
        )
    return inside


@dataclass(frozen=True)
class _Holder:
    """The initializer or the attribute that has an external tensor."""

    owner: ir.Value | ir.Attr
    node: ir.Node | None = None
    index: int | None = None

    def set(self, tensor: ir.TensorProtocol) -> None:
        import onnx_ir as ir

        if isinstance(self.owner, ir.Value):
            self.owner.const_value = tensor
            return
        assert self.node is not None
        value: object = tensor
        kind = ir.AttributeType.TENSOR
        if self.index is not None:
            current = self.node.attributes[self.owner.name]
            value = [*current.value[: self.index], tensor, *current.value[self.index + 1 :]]
            kind = ir.AttributeType.TENSORS
        self.node.attributes[self.owner.name] = ir.Attr(self.owner.name, kind, value)


def _external_tensors(model: ir.Model) -> Iterator[tuple[_Holder, ir.ExternalTensor]]:
    import onnx_ir as ir

    graphs = list(model.graphs())
    for graph in graphs:
        for value in graph.initializers.values():
            if isinstance(value.const_value, ir.ExternalTensor):
                yield _Holder(value), value.const_value
    for nodes in (*graphs, *model.functions.values()):
        for node in nodes:
            for attribute in list(node.attributes.values()):
                if attribute.type == ir.AttributeType.TENSOR:
                    if isinstance(attribute.value, ir.ExternalTensor):
                        yield _Holder(attribute, node), attribute.value
                elif attribute.type == ir.AttributeType.TENSORS:
                    for index, tensor in enumerate(attribute.value):
                        if isinstance(tensor, ir.ExternalTensor):
                            yield _Holder(attribute, node, index), tensor


def _in_place(tensor: ir.ExternalTensor, file: SourceFile, path: Path) -> ir.TensorProtocol:
    """The tensor as a view of the open file. FormatError if its bytes are not all there."""
    import numpy as np
    import onnx_ir as ir

    shape = tensor.shape.numpy()
    if tensor.dtype == ir.DataType.STRING:
        raise FormatError(
            f"{path}: {tensor.name!r} is text, which ONNX does not keep in other files: damaged"
        )
    start, count = tensor.offset or 0, math.prod(shape)
    size = -(-count * tensor.dtype.bitwidth // 8)
    if tensor.length not in (None, size):
        raise FormatError(
            f"{path}: the weight {tensor.name!r} of shape {'x'.join(map(str, shape)) or 'one number'} takes "
            f"{size:,} bytes, and the model gives it {tensor.length:,} bytes of {tensor.location}: damaged"
        )
    if start < 0 or start + size > file.state.size:
        raise _too_short(
            path, f"the weight {tensor.name!r}", start + size, str(tensor.location), file.state.size
        )
    content = file.data[start : start + size]
    if tensor.dtype.bitwidth < 8:  # two or more values in a byte: onnx_ir unpacks them
        return ir.PackedTensor(content, tensor.dtype, shape=tensor.shape, name=tensor.name)
    dtype = tensor.dtype.numpy().newbyteorder("<")
    array = content.view(dtype).reshape(shape) if count else np.zeros(shape, dtype)
    return ir.Tensor(array, tensor.dtype, name=tensor.name)


def _too_short(path: Path, what: str, end: int, location: str, size: int) -> FormatError:
    return FormatError(
        f"{path}: {what} needs bytes up to {end:,} of {location}, which has {size:,}: "
        "the file is cut off or belongs to another model"
    )


def _scan(path: Path) -> _Found:
    """Finds the external tensors of an .onnx without reading what it stores itself."""
    buffer = open_onnx(path)
    ends: dict[str, int] = {}
    text = None
    for field in buffer.fields():
        if field.wire_type != LENGTH:
            continue
        if field.number in (MODEL_GRAPH, _MODEL_FUNCTION):
            for tensor in _tensors(buffer, field, 0, is_function=field.number == _MODEL_FUNCTION):
                entries = _external_entries(buffer, tensor)
                if entries is not None:
                    location, end = _end_of(entries, path)
                    ends[location] = max(end, ends.get(location, 0))
        elif field.number == MODEL_METADATA:
            key, value = pair(buffer, field)
            text = value if key == METADATA_KEY else text
    return _Found(ends, read_records(text, path))


def _tensors(buffer: Buffer, graph: Field, depth: int, *, is_function: bool = False) -> Iterator[Field]:
    """The TensorProtos of a graph or function, and of the graphs and attributes of its nodes."""
    if depth > _MAX_NESTING:
        raise buffer.error(graph.start, "graphs are nested too deeply")
    node = _FUNCTION_NODE if is_function else _GRAPH_NODE
    for item in _messages(buffer, graph, (node,) if is_function else (node, _GRAPH_INITIALIZER)):
        if item.number != node:
            yield item
            continue
        for attribute in _messages(buffer, item, (_NODE_ATTRIBUTE,)):
            for part in _messages(buffer, attribute, (*_ATTRIBUTE_TENSORS, *_ATTRIBUTE_GRAPHS)):
                if part.number in _ATTRIBUTE_TENSORS:
                    yield part
                else:
                    yield from _tensors(buffer, part, depth + 1)


def _messages(buffer: Buffer, parent: Field, numbers: Iterable[int]) -> Iterator[Field]:
    wanted = frozenset(numbers)
    for field in buffer.fields(parent.start, parent.end):
        if field.wire_type == LENGTH and field.number in wanted:
            yield field


def _external_entries(buffer: Buffer, tensor: Field) -> dict[str, str] | None:
    """The entries of `external_data`; None for a tensor that is stored inside."""
    entries, is_external = {}, False
    for field in buffer.fields(tensor.start, tensor.end):
        if field.number == _TENSOR_EXTERNAL_DATA and field.wire_type == LENGTH:
            key, value = pair(buffer, field)
            entries[key] = value
        elif field.number == _TENSOR_LOCATION and field.wire_type == VARINT:
            is_external = field.value == _IS_EXTERNAL
    return entries if is_external else None


def _end_of(entries: Mapping[str, str], path: Path) -> tuple[str, int]:
    try:
        offset, length = int(entries.get("offset", 0)), int(entries.get("length", 0))
    except ValueError:
        raise FormatError(f"{path}: the place of a weight in another file is no number: damaged") from None
    if offset < 0 or length < 0:
        raise FormatError(f"{path}: the place of a weight in another file is negative: damaged")
    return entries.get("location", ""), offset + length
