"""The messages of Caffe's files as protobuf classes, made at run time from the .proto files in this folder.

Generated code would not load on a protobuf runtime older than its compiler. The descriptor pool is private
because the default pool can hold only one `caffe.proto`, and another package may have registered its own.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from importlib import resources
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

# protobuf makes message classes at run time, so a type checker cannot know their fields.
Message = Any

_SCALARS = {
    "float": descriptor_pb2.FieldDescriptorProto.TYPE_FLOAT,
    "double": descriptor_pb2.FieldDescriptorProto.TYPE_DOUBLE,
    "int32": descriptor_pb2.FieldDescriptorProto.TYPE_INT32,
    "int64": descriptor_pb2.FieldDescriptorProto.TYPE_INT64,
    "uint32": descriptor_pb2.FieldDescriptorProto.TYPE_UINT32,
    "bool": descriptor_pb2.FieldDescriptorProto.TYPE_BOOL,
    "string": descriptor_pb2.FieldDescriptorProto.TYPE_STRING,
    "bytes": descriptor_pb2.FieldDescriptorProto.TYPE_BYTES,
}
_LABELS = {
    "optional": descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL,
    "repeated": descriptor_pb2.FieldDescriptorProto.LABEL_REPEATED,
    "required": descriptor_pb2.FieldDescriptorProto.LABEL_REQUIRED,
}
# The part of the .proto language that the two files use. Each match is one declaration.
_DECLARATION = re.compile(
    r"(?P<message>message)\s+(?P<message_name>\w+)\s*\{"
    r"|enum\s+(?P<enum>\w+)\s*\{(?P<values>[^}]*)\}"
    r"|(?P<label>optional|repeated|required)\s+(?P<type>[\w.]+)\s+(?P<name>\w+)\s*=\s*(?P<number>\d+)"
    r"\s*(?:\[(?:default\s*=\s*(?P<default>[^\]]+)|packed\s*=\s*(?P<packed>true))\])?\s*;"
    r"|(?P<end>\})"
)


def new(message_name: str) -> Message:
    """An empty message of this type, such as "NetParameter"."""
    return _classes()[message_name]()


@functools.cache
def _classes() -> dict[str, type[Message]]:
    """Every message class by name; built once (a few milliseconds)."""
    pool = descriptor_pool.DescriptorPool()
    pool.Add(_file_descriptor())
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"caffe.{name}"))
        for name in pool.FindFileByName("caffe.proto").message_types_by_name
    }


def _file_descriptor() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(name="caffe.proto", package="caffe", syntax="proto2")
    messages: dict[str, descriptor_pb2.DescriptorProto] = {}
    scope: descriptor_pb2.DescriptorProto | None = None
    for item in _declarations():
        if item["message"]:
            name = item["message_name"]
            if name not in messages:
                messages[name] = file.message_type.add(name=name)
            scope = messages[name]
        elif item["enum"]:
            _add_values(scope or file, item)
        elif item["name"]:
            assert scope is not None
            _add_field(scope, item)
        else:
            scope = None
    _resolve_types(file, messages)
    return file


def _declarations() -> Iterator[re.Match[str]]:
    for text in ("bvlc.proto", "forks.proto"):
        source = resources.files(__name__).joinpath(text).read_text("utf-8")
        yield from _DECLARATION.finditer(re.sub(r"//[^\n]*", "", source))


def _add_values(
    scope: descriptor_pb2.FileDescriptorProto | descriptor_pb2.DescriptorProto, item: re.Match[str]
) -> None:
    """Add an enum. If this scope has one of the same name already, that one gets the values."""
    found = [enum for enum in scope.enum_type if enum.name == item["enum"]]
    enum = found[0] if found else scope.enum_type.add(name=item["enum"])
    for value, number in re.findall(r"(\w+)\s*=\s*(\d+)", item["values"]):
        enum.value.add(name=value, number=int(number))


def _add_field(message: descriptor_pb2.DescriptorProto, item: re.Match[str]) -> None:
    field = message.field.add(name=item["name"], number=int(item["number"]), label=_LABELS[item["label"]])
    if item["type"] in _SCALARS:
        field.type = _SCALARS[item["type"]]
    else:
        field.type_name = item["type"]
    if item["default"]:
        field.default_value = item["default"].strip().strip('"')
    if item["packed"]:
        field.options.packed = True


def _resolve_types(
    file: descriptor_pb2.FileDescriptorProto, messages: dict[str, descriptor_pb2.DescriptorProto]
) -> None:
    """Give every field that names a message or enum its full name and its kind."""
    enums = {f"caffe.{e.name}" for e in file.enum_type}
    enums |= {f"caffe.{m.name}.{e.name}" for m in file.message_type for e in m.enum_type}
    for message in messages.values():
        for field in message.field:
            if not field.type_name:
                continue
            nested = f"caffe.{message.name}.{field.type_name}"
            full = nested if nested in enums else f"caffe.{field.type_name}"
            is_enum = full in enums
            field.type = field.TYPE_ENUM if is_enum else field.TYPE_MESSAGE
            field.type_name = f".{full}"
