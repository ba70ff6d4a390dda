"""The definition stored in a caffemodel: every layer is stored with its own parameters.

Caffe writes the net as it was instantiated: it has applied the include and exclude rules, so they are dropped
here. Field numbers are BVLC's. Where a fork uses another number for the parameters of a layer, the layer's
type decides what a number means: see `fork_field_numbers` of LayerType. A field without a certain meaning is
an error, and the definition must be given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from google.protobuf import unknown_fields
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError

from converters.errors import FormatError, UnsupportedError
from converters.from_caffe import schema
from converters.from_caffe.layers import LayerType, layer_types
from converters.from_caffe.limits import check_layer_count
from converters.from_caffe.upgrade import upgrade
from converters.source_files import SourceFile
from converters.wire import FIXED32, FIXED64, LENGTH, VARINT, Buffer, Field

_NET_NAME, _NET_V1_LAYER, _NET_LAYER = 1, 2, 100
_LEGACY_INPUTS = (3, 4, 8)
_V1_BLOBS, _V1_V0_LAYER, _V0_BLOBS = 6, 1, 50
# name, type, bottom, top, loss_weight, param, phase, propagate_down, transform_param, loss_param
_GENERAL = frozenset({1, 2, 3, 4, 5, 6, 10, 11, 100, 101})
# blobs, and the rules (include, exclude) that Caffe has applied already
_SKIPPED = frozenset({7, 8, 9})
_INPUT_PARAM = 143
# From here on, one number means different parameters in different forks.
_FIRST_CONTESTED = 132
# From here on, the schema has private numbers for what it knows by name only.
_FIRST_PRIVATE = 20000
# At these numbers forks store devices, element types and engines, as numbers or text; they change no result.
_SETTINGS = frozenset({*range(12, 21), 95, 96, 97, *range(145, 151)})
# The only one of them that is text (Intel).
_ENGINE = 149


def definition_in(file: SourceFile) -> schema.Message:
    """The NetParameter in a caffemodel, without blobs, in the current form.

    UnsupportedError names the layer and the field that no dialect explains.
    """
    path = file.path
    buffer = Buffer(file.view, str(path))
    net = schema.new("NetParameter")
    for item in buffer.fields(0, len(buffer)):
        if item.wire_type == LENGTH and item.number == _NET_LAYER:
            net.layer.append(_layer(buffer, item))
        elif item.wire_type == LENGTH and item.number == _NET_V1_LAYER:
            _merge_v1(buffer, net.layers.add(), item)
        elif item.number == _NET_NAME or item.number in _LEGACY_INPUTS:
            _merge(buffer, net, buffer.bytes(item.begin, item.end), item)
    check_layer_count(net, path)
    _check_text(net, path)
    net = upgrade(net, path)
    if not any(len(layer.top) for layer in net.layer):
        raise UnsupportedError(
            f"{path}: holds weights by layer name and no network; give the definition (.prototxt) with it"
        )
    phases = {layer.phase for layer in net.layer if layer.HasField("phase")}
    for layer in net.layer:
        for field in ("include", "exclude"):
            layer.ClearField(field)
        if (
            len(phases) < 2
        ):  # Caffe writes the phase of the net into every layer; only another one has a meaning
            layer.ClearField("phase")
    return net


def _merge_v1(buffer: Buffer, layer: schema.Message, item: Field) -> None:
    """A V1 layer without its blobs, and without those of the V0 layer that may be inside it."""
    for inner in buffer.fields(item.start, item.end):
        if inner.number == _V1_V0_LAYER and inner.wire_type == LENGTH:
            for part in buffer.fields(inner.start, inner.end):
                if part.number != _V0_BLOBS:
                    _merge(buffer, layer.layer, buffer.bytes(part.begin, part.end), part)
        elif inner.number != _V1_BLOBS:
            _merge(buffer, layer, buffer.bytes(inner.begin, inner.end), inner)


def _layer(buffer: Buffer, item: Field) -> schema.Message:
    layer = schema.new("LayerParameter")
    fields = [inner for inner in buffer.fields(item.start, item.end) if inner.number not in _SKIPPED]
    for inner in fields:
        if inner.number in _GENERAL:
            _merge(buffer, layer, buffer.bytes(inner.begin, inner.end), inner)
    rest = [inner for inner in fields if inner.number not in _GENERAL]
    layer_type = layer_types().get(layer.type)
    if layer_type is None:
        return _without_type(buffer, layer, rest)
    own = layer_type.param
    numbers = _parameter_numbers(layer_type)
    bvlc = {field.number for field in layer.DESCRIPTOR.fields if field.number < _FIRST_PRIVATE}
    for inner in rest:
        if own is not None and inner.number in numbers:
            names = layer_type.fork_message_fields.get(inner.number, {})
            _merge_parameters(buffer, layer, own, inner, names)
        elif inner.wire_type == LENGTH and inner.number in bvlc and not _is_forks(layer_type):
            continue  # parameters of another type, which this one does not read
        elif inner.number not in _SETTINGS or (inner.wire_type == LENGTH and inner.number != _ENGINE):
            raise UnsupportedError(
                f"{buffer.name}: layer {layer.name!r} ({layer.type}): no dialect of Caffe declares "
                f"the parameter field {inner.number} for this type; give the network definition (.prototxt)"
            )
    if own is not None:
        _take_integers(getattr(layer, own))
    if unknown := _unknown(layer, layer.type or "layer"):
        raise _undeclared(buffer, layer, unknown)
    return layer


def _without_type(buffer: Buffer, layer: schema.Message, parameters: Sequence[Field]) -> schema.Message:
    """A layer that is no layer type here: an input, data, a loss or an evaluation, or one that is refused.

    Only what says the shape and the preprocessing of inputs matters. It is kept where the forks agree on its
    number; all else is left out.
    """
    for inner in parameters:
        if inner.number < _FIRST_CONTESTED or (layer.type == "Input" and inner.number == _INPUT_PARAM):
            _merge(buffer, layer, buffer.bytes(inner.begin, inner.end), inner)
    layer.DiscardUnknownFields()
    return layer


def _take_integers(message: schema.Message) -> None:
    """Take over integers that some forks store for a float field (Upsample's scale): protobuf skips them."""
    for item in unknown_fields.UnknownFieldSet(message):  # type: ignore[attr-defined]
        if name := _integer_for_float(message, item):
            setattr(message, name, float(item.data))


def _integer_for_float(message: schema.Message, item: Any) -> str | None:  # noqa: ANN401
    """The name of the float field for which this unknown field holds an integer, or None."""
    known = message.DESCRIPTOR.fields_by_number.get(item.field_number)
    real = known is not None and known.type == known.TYPE_FLOAT and not known.is_repeated
    # From 2**31 on it may be a negative number: the wire format does not tell its sign.
    return str(known.name) if real and item.wire_type == VARINT and item.data < 2**31 else None


def _parameter_numbers(layer_type: LayerType) -> frozenset[int]:
    """The field numbers at which BVLC or a fork stores the parameters of this type."""
    if layer_type.param is None:
        return frozenset()
    return layer_type.fork_field_numbers | {_own_number(layer_type.param)}


# The wire type of each kind of field in a parameter message; those that are left out are FIXED32 or FIXED64.
_WIRE_TYPES = {
    FieldDescriptor.CPPTYPE_MESSAGE: LENGTH,
    FieldDescriptor.CPPTYPE_STRING: LENGTH,
    FieldDescriptor.CPPTYPE_FLOAT: FIXED32,
    FieldDescriptor.CPPTYPE_DOUBLE: FIXED64,
}


def _merge_parameters(
    buffer: Buffer, layer: schema.Message, param: str, item: Field, names: Mapping[int, Sequence[str]]
) -> None:
    """Merge a stored parameter message; `names` is the entry of LayerType.fork_message_fields for it."""
    message = getattr(layer, param)
    message.SetInParent()
    if not names:
        _merge(buffer, message, buffer.bytes(item.start, item.end), item)
        return
    known = message.DESCRIPTOR.fields_by_name
    for inner in buffer.fields(item.start, item.end):
        data = buffer.bytes(inner.begin, inner.end)
        if inner.number in names:
            fitting = [
                known[name].number
                for name in names[inner.number]
                if _WIRE_TYPES.get(known[name].cpp_type, VARINT) == inner.wire_type
            ]
            if not fitting:
                raise _undeclared(buffer, layer, [f"{layer.type}.{param} field {inner.number}"])
            _, after_tag = buffer.varint(inner.begin, inner.end)
            data = _tag(fitting[0], inner.wire_type) + data[after_tag - inner.begin :]
        _merge(buffer, message, data, inner)


def _tag(number: int, wire_type: int) -> bytes:
    """The tag of a field as a varint."""
    value, encoded = number << 3 | wire_type, bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])


def _undeclared(buffer: Buffer, layer: schema.Message, fields: Sequence[str]) -> UnsupportedError:
    return UnsupportedError(
        f"{buffer.name}: layer {layer.name!r} ({layer.type}) has fields that BVLC Caffe does not declare "
        f"({', '.join(fields)}); give the network definition (.prototxt)"
    )


def _is_forks(layer_type: LayerType) -> bool:
    """Whether BVLC Caffe has no such parameters: then a message at one of its numbers may be the fork's."""
    return layer_type.param is not None and _own_number(layer_type.param) >= _FIRST_PRIVATE


def _own_number(param: str) -> int:
    """The number of this field of LayerParameter in schema/."""
    return int(schema.new("LayerParameter").DESCRIPTOR.fields_by_name[param].number)


def _merge(buffer: Buffer, message: schema.Message, data: bytes, item: Field) -> None:
    try:
        message.MergeFromString(data)
    except DecodeError as error:
        raise FormatError(f"{buffer.name}: byte {item.begin:,}: {error}") from None


def _check_text(message: schema.Message, path: Path) -> None:
    """FormatError for text that is not UTF-8: protobuf returns it as bytes."""
    for field, value in message.ListFields():
        for inner in value if field.is_repeated else [value]:
            if field.message_type is not None:
                _check_text(inner, path)
            elif field.type == field.TYPE_STRING and isinstance(inner, bytes):
                raise FormatError(
                    f"{path}: {message.DESCRIPTOR.name}.{field.name} is not UTF-8 text: damaged"
                )


def _unknown(message: schema.Message, where: str) -> list[str]:
    """The fields, at any depth, that the schema does not know."""
    found = [
        f"{where} field {field.field_number}"
        for field in unknown_fields.UnknownFieldSet(message)  # type: ignore[attr-defined]
        if not (taken := _integer_for_float(message, field)) or not message.HasField(taken)
    ]
    for field, value in message.ListFields():
        if field.message_type is not None:
            for inner in value if field.is_repeated else [value]:
                found += _unknown(inner, f"{where}.{field.name}")
    return found
