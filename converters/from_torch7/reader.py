"""A .t7 file -> Python objects, as Torch's File:readObject reads it, without running anything in the file.

Every value begins with an int tag: 0 nil; 1 number (double); 2 string (int length, bytes); 3 table; 4 torch
object; 5 boolean (int); 6, 7, 8 function. Tables, torch objects and functions then have an int index: the
content follows where an index occurs first, and is left out where it occurs again. Only 6, the oldest tag of
functions, has no index. A table is an int count, then its keys and values in pairs. A function is bytecode
(int length, bytes) and a table of upvalues. A torch object is a version string "V n", a class name (in the
oldest files the class name alone) and what the class writes: see `_payload`.

The reader keeps a stack itself, so that no file exhausts Python's: nngraph nests one level deeper a node.
"""

from __future__ import annotations

import math
import re
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from converters.errors import FormatError
from converters.from_torch7.objects import Function, Storage, Table, Tensor, TorchObject
from converters.from_torch7.streams import ELEMENT_TYPES, FormatViolation, Stream, ascii_text, binary
from converters.source_files import SourceFile

NIL, NUMBER, STRING, TABLE, TORCH, BOOLEAN, FUNCTION, LEGACY_FUNCTION, RECURSIVE_FUNCTION = range(9)
_KINDS = {TABLE: "table", TORCH: "torch object", LEGACY_FUNCTION: "function", RECURSIVE_FUNCTION: "function"}

# The most reading steps under way at once; a level of nesting takes three or four. Torch stops much earlier.
MAX_NESTING = 50_000
# The limit of NumPy; real tensors have 6 dimensions at most.
MAX_DIMENSIONS = 64

# An expanded tensor may have far more elements than its storage; this keeps their number countable.
MAX_ELEMENTS = 2**48

# torch.FloatStorage, and cutorch's torch.CudaStorage (float), torch.CudaLongStorage, ...; cltorch's likewise.
_ARRAY_CLASS = re.compile(rf"torch\.(Cuda|Cl)?({'|'.join(ELEMENT_TYPES)})?(Tensor|Storage)")
_VERSION = re.compile(rb"V (-?\d+)")

_Step = Generator["_Step", Any, Any]


@dataclass(frozen=True)
class Content:
    """The content of a file.

    value: the first object, as `objects` describes; Torch reads only this one too.
    file: the open file; the arrays of a binary file are views of its data.
    unread_bytes: how many bytes follow the object.
    """

    value: Any
    file: SourceFile
    unread_bytes: int


def read(path: Path) -> Content:
    """The object in a .t7 file. For a damaged file, FormatError names the byte where reading failed."""
    file = SourceFile(path)
    failures = []
    first_reading: Content | None = None
    for k, stream in enumerate(_candidate_streams(file)):
        reader = _Reader(stream)
        try:
            content = Content(reader.run(), file, stream.remaining())
        except FormatViolation as damage:
            failures.append((stream.offset, damage.offset, str(damage) + reader.likely_cause()))
        else:
            if not content.unread_bytes:
                return content
            if k == 0:
                first_reading = content
    if first_reading is not None:
        return first_reading
    _, offset, message = max(failures, key=lambda failure: failure[0])  # the reading that got furthest
    raise FormatError(f"{path}: byte {offset}: {message}{_hint(file)}")


def _candidate_streams(file: SourceFile) -> list[Stream]:
    """The ways to read these bytes, the most likely first.

    The file does not say how many bytes a C long has. With the wrong size, reading fails at the first tensor
    or storage, or leaves bytes unread at the end.
    """
    head = bytes(file.view[:4])
    if head[0] in b" \t\r\n0123456789" and 0 not in head:
        return [ascii_text(memoryview(file.read()))]
    return [binary(file, long_bytes=8), binary(file, long_bytes=4)]


def _hint(file: SourceFile) -> str:
    head = bytes(file.view[:4])
    if head[:3] == b"\0\0\0" and head[3:]:
        return " (big-endian? only little-endian files are supported)"
    raw = bytes(file.view[: 1 << 20])
    if raw.count(b"\r\n") and raw.count(b"\n") == raw.count(b"\r\n"):
        return " (every line feed comes with a carriage return: damaged by a transfer in text mode?)"
    return ""


class _Reader:
    """Reads the objects of one stream, once."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._known: dict[int, tuple[str, Any]] = {}
        self._unknown_class = ""

    def run(self) -> Any:  # noqa: ANN401
        """The object at the current position. Generators take the place of recursive calls."""
        stack: list[_Step] = [self._value()]
        result: Any = None
        while stack:
            try:
                step = stack[-1].send(result)
            except StopIteration as stop:
                stack.pop()
                result = stop.value
            else:
                if len(stack) == MAX_NESTING:
                    raise FormatViolation(self._stream.offset, "objects are nested too deeply")
                stack.append(step)
                result = None
        return result

    def likely_cause(self) -> str:
        """What may have caused a failure; empty if nothing is suspected."""
        if not self._unknown_class:
            return ""
        return (
            f" (after an object of class {self._unknown_class}, which may have its own way of storing itself)"
        )

    def _value(self) -> _Step:
        stream = self._stream
        start = stream.offset
        tag = stream.integer("the type of a value")
        if tag == NIL:
            return None
        if tag == NUMBER:
            return stream.double("a number")
        if tag == STRING:
            return self._text("a string")
        if tag == BOOLEAN:
            return stream.integer("a boolean") == 1
        if tag == FUNCTION:
            return (yield self._function(None))
        if tag not in _KINDS:
            raise FormatViolation(start, f"{tag} is no type of value; expected 0 to 8")
        index = stream.integer("the index of an object")
        if index in self._known:
            kind, value = self._known[index]
            if kind != _KINDS[tag]:
                raise FormatViolation(
                    start, f"object {index} is a {kind}, but is referred to as a {_KINDS[tag]}"
                )
            return value
        return (yield self._object(tag, index))

    def _object(self, tag: int, index: int) -> _Step:
        if tag == TABLE:
            table = Table()
            self._known[index] = _KINDS[tag], table
            yield self._entries(table, self._stream.integer("the size of a table"))
            return table
        if tag == TORCH:
            return (yield self._torch_object(index))
        return (yield self._function(index))

    def _entries(self, table: Table, count: int) -> _Step:
        stream = self._stream
        # The smallest entry is a boolean key, which takes two values' room, and a nil.
        self._check_room(count, 3 * stream.smallest_value, "a table", "entries")
        for _ in range(count):
            start = stream.offset
            key = yield self._value()
            if key is None or (isinstance(key, float) and math.isnan(key)):
                raise FormatViolation(start, f"the key of a table entry is {'nil' if key is None else 'NaN'}")
            table.set(key, (yield self._value()))

    def _function(self, index: int | None) -> _Step:
        size = self._stream.integer("the size of a function")
        function = Function(self._stream.offset, size)
        self._stream.characters(size, "the bytecode of a function")
        if index is not None:
            self._known[index] = "function", function
        yield self._value()  # its upvalues: read only to find where they end
        return function

    def _torch_object(self, index: int) -> _Step:
        stream = self._stream
        start = stream.offset
        text = stream.characters(stream.integer("the length of a class version"), "a class version")
        version, class_name = 0, text
        if (match := _VERSION.fullmatch(text)) is not None:
            version = int(match[1])
            class_name = stream.characters(stream.integer("the length of a class name"), "a class name")
        name = _decode(class_name)
        if not re.fullmatch(r"[A-Za-z_][\w.]*", name):
            raise FormatViolation(start, f"{name[:60]!r} is no name of a class")
        if (array := _ARRAY_CLASS.fullmatch(name)) and (array[1] or array[2]):
            element = array[2] or "Float"
            if array[3] == "Tensor":
                return (yield self._tensor(index, name, element))
            return self._storage(index, name, element)
        item = TorchObject(name, version)
        self._known[index] = _KINDS[TORCH], item
        yield self._payload(item)
        return item

    def _payload(self, item: TorchObject) -> _Step:
        """What a class writes after its name: the table of its fields, but for the exceptions here."""
        stream, name = self._stream, item.class_name
        if name == "torch.Timer":
            return
        if name == "tds.AtomicCounter":
            item.fields.set("value", float(stream.long("an atomic counter")))
        elif name in {"tds.Hash", "tds_hash"}:
            yield self._entries(item.fields, stream.long("the size of a tds.Hash"))
        elif name == "tds.Vec":
            yield self._vector(item.fields, stream.long("the size of a tds.Vec"))
        else:
            if name == "nn.DataParallelTable" and item.version >= 2:
                yield self._value()  # the list of GPUs
            if not name.startswith(("nn.", "cudnn.", "nngraph.", "graph.")):
                self._unknown_class = name
            start = stream.offset
            fields = yield self._value()
            if not isinstance(fields, Table):
                raise FormatViolation(start, f"the fields of an object of class {name} are not a table")
            item.fields = fields

    def _vector(self, table: Table, count: int) -> _Step:
        self._check_room(count, self._stream.smallest_value, "a tds.Vec", "elements")
        for k in range(count):
            table.set(float(k + 1), (yield self._value()))

    def _check_room(self, count: int, each: int, what: str, of: str) -> None:
        remaining = self._stream.remaining()
        if count < 0 or count * each > remaining:
            raise FormatViolation(
                self._stream.offset, f"{what} claims {count:,} {of}, but only {remaining:,} bytes are left"
            )

    def _storage(self, index: int, name: str, element: str) -> Storage:
        size = self._stream.long(f"the size of a {name}")
        storage = Storage(name, self._stream.elements(element, size, f"a {name} of {size:,} elements"))
        self._known[index] = _KINDS[TORCH], storage
        return storage

    def _tensor(self, index: int, name: str, element: str) -> _Step:
        stream = self._stream
        start = stream.offset
        rank = stream.integer(f"the number of dimensions of a {name}")
        if not 0 <= rank <= MAX_DIMENSIONS:
            raise FormatViolation(start, f"a {name} of {rank:,} dimensions; 0 to {MAX_DIMENSIONS} expected")
        sizes = stream.longs(rank, f"the sizes of a {name}")
        strides = stream.longs(rank, f"the strides of a {name}")
        offset = stream.long(f"the offset of a {name}") - 1
        tensor = Tensor(name, np.zeros(0, ELEMENT_TYPES[element]), None)
        self._known[index] = _KINDS[TORCH], tensor
        storage = yield self._value()
        if storage is not None:
            if not isinstance(storage, Storage) or storage.array.dtype != tensor.array.dtype:
                raise FormatViolation(start, f"the storage of a {name} is not a storage of its type")
            tensor.storage = storage
        problem = _view_problem(sizes, strides, offset, 0 if storage is None else storage.array.size)
        if problem:
            raise FormatViolation(
                start, f"a {name} of size {_sizes_text(sizes)}, strides {_sizes_text(strides)}: {problem}"
            )
        if storage is not None and rank:
            tensor.array = _view(storage.array, sizes, strides, offset)
        return tensor

    def _text(self, what: str) -> str:
        return _decode(self._stream.characters(self._stream.integer(f"the length of {what}"), what))


def _view_problem(sizes: list[int], strides: list[int], offset: int, available: int) -> str:
    """Why this is not a valid view of the storage; empty if it is valid."""
    if any(size < 0 for size in sizes):
        return "a size is negative"
    if any(size > MAX_ELEMENTS for size in sizes):
        return f"a size is larger than any memory ({max(sizes):,})"
    if not sizes or 0 in sizes:
        return ""
    if not available:
        return "it has no storage"
    if any(stride < 0 for size, stride in zip(sizes, strides, strict=True) if size > 1):
        return "a stride is negative"
    last = offset + sum((size - 1) * stride for size, stride in zip(sizes, strides, strict=True))
    if math.prod(sizes) > MAX_ELEMENTS:
        return f"more elements than any memory holds ({math.prod(sizes):,})"
    if offset < 0 or last >= available:
        return f"it reaches from element {offset + 1} to {last + 1} of a storage of {available:,}"
    return ""


def _view(array: np.ndarray, sizes: list[int], strides: list[int], offset: int) -> np.ndarray:
    """The view of the storage that a tensor is."""
    if 0 in sizes:
        return np.zeros(sizes, array.dtype)
    byte_strides = [
        stride * array.itemsize if size > 1 else 0 for size, stride in zip(sizes, strides, strict=True)
    ]
    return np.lib.stride_tricks.as_strided(array[offset:], sizes, byte_strides, subok=True, writeable=False)


def _decode(text: bytes) -> str:
    """A Lua string, which is bytes; a byte that is not UTF-8 becomes an escape such as \\xff."""
    return text.decode("utf-8", "backslashreplace")


def _sizes_text(sizes: list[int]) -> str:
    return "x".join(map(str, sizes)) or "none"
