"""Prototxt text -> typed net, in the current (V2) form.

protobuf itself reads the text, and `quick_text` the usual forms of it. This module turns protobuf's errors
into errors that name the file, line, layer and field, and passes over unknown fields that cannot matter or
that a user chose to ignore.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from google.protobuf import text_format

from converters.errors import ConverterError, FormatError, LimitError, UnsupportedError
from converters.from_caffe import schema
from converters.from_caffe.legacy_types import V1_TYPES
from converters.from_caffe.limits import check_layer_count
from converters.from_caffe.prototxt_numbers import as_caffe_reads_numbers, with_plain_boolean
from converters.from_caffe.quick_text import read_quickly
from converters.from_caffe.unread_fields import (
    UNKNOWN_FIELD,
    Unread,
    is_harmless,
    unknown_v1_types,
    without_unread,
)
from converters.from_caffe.upgrade import upgrade
from converters.suggestions import close_names

# The most further unknown fields that one error names.
_MOST_LISTED = 10

MAX_BYTES = 2**24
# Each way to write a boolean that Python does not take costs another reading of the text; files use one.
MOST_READINGS = 10
# The most fields of a text up to DENSE_BYTES, and for each DENSE_BYTES of a larger one. GoogLeNet's
# definition has 0.04 MB and 2,000 fields.
MAX_FIELDS = 60_000
# The same of a text that only protobuf's own parser reads, which takes half a second for them.
MAX_UNUSUAL_FIELDS = 40_000
DENSE_BYTES = 1_000_000


@dataclass(frozen=True)
class Definition:
    """A definition as it was read.

    net: the NetParameter in the current form. ignored: the unknown fields that were ignored as asked.
    notes: what else was not read, because it cannot matter.
    """

    net: schema.Message
    ignored: Sequence[Unread]
    notes: Sequence[str]


def parse(
    path: Path, ignore_fields: Collection[str] = (), stages: Sequence[str] = (), level: int = 0
) -> Definition:
    """The definition in `path`, upgraded to the current form.

    stages, level: the NetState, which decides what layers inference leaves out: in these, what the schema
    does not know is passed over. FormatError for text that Caffe's parser would refuse; UnsupportedError for
    a field that neither BVLC Caffe nor a known fork declares.
    """
    text = as_caffe_reads_numbers(_read(path), path)
    net, unread = _parsed(path, text)
    if missing := net.FindInitializationErrors():
        raise FormatError(f"{path}: required fields are missing: {', '.join(missing)}")
    check_layer_count(net, path)
    v1_types = unknown_v1_types(unread)
    harmless, ignored, refused = [], [], []
    for item in unread:
        if is_harmless(item, net, v1_types, stages, level):
            harmless.append(item)
        elif item.is_unknown and item.field in ignore_fields:
            ignored.append(item)
        else:
            refused.append(item)
    if refused:
        raise _unread_error(refused, path, text)
    notes = _notes(net, harmless)
    _forget_repeated(net, harmless)
    return Definition(upgrade(net, path, v1_types), ignored, notes)


def _parsed(path: Path, text: str) -> tuple[schema.Message, list[Unread]]:
    """The net in the text, and the fields that could not be read."""
    unread: list[Unread] = []
    for _ in range(MOST_READINGS):
        net = schema.new("NetParameter")
        try:
            _parse_into(net, text, path)
        except text_format.ParseError as error:
            plain = with_plain_boolean(text, error.GetLine(), error.GetColumn())
            if plain is not None:
                text = plain
                continue
            read, found = without_unread(text, path)
            if not found:
                raise _explained(error, path, text) from None
            text, unread = read, [*unread, *found]
        except DeprecationWarning as warning:
            raise FormatError(f"{path}: a string that Caffe refuses: {warning}") from None
        except RecursionError:
            raise FormatError(f"{path}: messages are nested too deeply for a network definition") from None
        else:
            return net, unread
    raise FormatError(f"{path}: more than {MOST_READINGS} ways to write a boolean: is this the file?")


def _notes(net: schema.Message, unread: Sequence[Unread]) -> list[str]:
    """One note for each layer, or for the net, of which something was not read."""
    fields: dict[int | None, list[str]] = {}
    for item in unread:
        fields.setdefault(item.layer, []).append(str(item))
    layers = net.layers if len(net.layers) else net.layer
    return [
        f"not read, because inference leaves out layer {layers[layer].name!r}: {', '.join(listed)}"
        if layer is not None
        else f"not read, because it steers memory or training only: {', '.join(listed)}"
        for layer, listed in fields.items()
    ]


def _forget_repeated(net: schema.Message, unread: Sequence[Unread]) -> None:
    """Clear transformations of which a fork has several: which one an image gets is chosen at random."""
    layers = net.layers if len(net.layers) else net.layer
    for item in unread:
        if item.is_repeated and item.layer is not None and item.message == "TransformationParameter":
            layers[item.layer].transform_param.ClearField(item.field)


def _parse_into(net: schema.Message, text: str, path: Path) -> None:
    if read_quickly(net, text):
        return
    net.Clear()
    with warnings.catch_warnings():
        # protobuf decodes strings with Python's codec, which only warns of an invalid escape sequence.
        warnings.simplefilter("error", DeprecationWarning)
        text_format.Parse(text, net)
    # Counted behind the parser, so that an error in a long text is still named.
    fields, most = _field_count(text), _most_fields(text, MAX_UNUSUAL_FIELDS)
    if fields > most:
        raise LimitError(
            f"{path}: some {fields:,} fields, with lists in brackets, escaped characters or other unusual "
            f"forms among them; such a definition has at most {most:,}: write each as `name: value`"
        )


def _field_count(text: str | bytes) -> int:
    """About how many fields there are. A comma stands between two numbers of a list."""
    if isinstance(text, str):
        return sum(map(text.count, ":{,"))
    return sum(map(text.count, (b":", b"{", b",")))


def _most_fields(text: str | bytes, small: int) -> int:
    """How many fields a text may have: `small`, or so many for each DENSE_BYTES."""
    return max(small, small * len(text) // DENSE_BYTES)


def _read(path: Path) -> str:
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise FormatError(
            f"{path}: {size:,} bytes of text; a definition has at most {MAX_BYTES:,}: is this the file?"
        )
    raw = path.read_bytes()
    fields, most = _field_count(raw), _most_fields(raw, MAX_FIELDS)
    if fields > most:
        raise LimitError(
            f"{path}: some {fields:,} fields; a definition has at most {most:,}: is this the file?"
        )
    if raw.startswith(b"\xef\xbb\xbf"):
        raise FormatError(
            f"{path}: starts with a UTF-8 byte order mark, which Caffe refuses; save it without one"
        )
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FormatError(f"{path}: byte {error.start} is not UTF-8 text; is this a prototxt?") from None


def _explained(error: text_format.ParseError, path: Path, text: str) -> ConverterError:
    line = error.GetLine() or _last_line(error)
    return _field_error(str(error), line, path, text)


def _unread_error(unread: Sequence[Unread], path: Path, text: str) -> ConverterError:
    """The error about the first of these fields, with the names of the others."""
    first, *others = unread
    error = _field_error(first.error, first.line, path, text)
    if not others:
        return error
    listed = ", ".join(map(str, others[:_MOST_LISTED]))
    more = f" and {len(others) - _MOST_LISTED} more" if len(others) > _MOST_LISTED else ""
    return type(error)(f"{error}\n  Not known either: {listed}{more}")


def _field_error(said: str, line: int | None, path: Path, text: str) -> ConverterError:
    where = f"{path}:{line}" if line else str(path)
    layer = _enclosing_layer(text, line) if line else None
    inside = f" in layer {layer!r}" if layer else ""
    unknown = UNKNOWN_FIELD.search(said)
    if unknown is None:
        return FormatError(f"{where}: {_reason(said)}{inside}{_v1_advice(said)}")
    message, field = unknown.groups()
    known = [f.name for f in schema.new(message).DESCRIPTOR.fields]
    close = close_names(field, known, 3)
    hint = f"; did you mean {' or '.join(close)}?" if close else ""
    if message == "NetParameter" and not close:
        hint = "; is this a network definition at all?"
    return UnsupportedError(
        f"{where}: unknown field {field!r} of {message}{inside}{hint}\n"
        f"  If it does not matter at inference, accept it by name: --ignore-field {field}"
    )


def _v1_advice(said: str) -> str:
    """How to write a type that is a string in a V1 layer: `layers { type: "Softmax" }`."""
    found = re.search(r'V1LayerParameter\.LayerType" has no value named "(\w+)"', said)
    if found is None:
        return ""
    name = next((v1 for v1, v2 in V1_TYPES.items() if v2 == found[1]), None)
    old = f"type: {name}, or " if name is not None else ""
    return f'; in "layers {{" a type is a word without quotes: write {old}"layer {{" in all layers'


def _reason(said: str) -> str:
    text = re.sub(r"^\d+:\d+ : ", "", said).replace("caffe.", "")
    return text if len(text) <= 240 else f"{text[:80]} ... {text[-140:]}"  # protobuf quotes the whole line


def _last_line(error: text_format.ParseError) -> int | None:
    found = re.match(r"(\d+):\d+ : ", str(error))
    return int(found[1]) if found else None


def _enclosing_layer(text: str, line: int) -> str | None:
    """The name of the layer that contains `line`, for error messages; None where there is none."""
    head = "\n".join(text.split("\n")[:line])
    starts = [m.start() for m in re.finditer(r"^[^\S\n]*+layers?\s*+:?\s*+[{<]", head, re.MULTILINE)]
    if not starts:
        return None
    name = re.search(r"name\s*:\s*(\"([^\"]*)\"|'([^']*)')", text[starts[-1] :])
    return (name[2] or name[3]) if name else None
